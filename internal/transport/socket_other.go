//go:build !linux

package transport

import "net"

// offloaded is the plain socket: only Linux coalesces received datagrams.
func offloaded(conn *net.UDPConn, sieve sieve) socket { return plain(conn, sieve) }
