package transport

import (
	"github.com/quic-go/quic-go/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// datagrams counts what comes in and belongs to nobody: noise, forgeries, and
// what is late for a connection that has ended. QUIC drops it without an answer
// and without a word; somebody who throws it at a node should be seen. Packets
// of connections are not looked at, so those that are served pay nothing.
type datagrams struct{ refused func(reason string) }

var _ qlogwriter.Recorder = datagrams{}

// RecordEvent is told of each datagram that was dropped outside a connection.
func (d datagrams) RecordEvent(e qlogwriter.Event) {
	if _, dropped := e.(qlog.PacketDropped); dropped {
		d.refused(ReasonDatagram)
	}
}

// Close has nothing to close.
func (datagrams) Close() error { return nil }
