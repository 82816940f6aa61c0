package main

import (
	"fmt"
	"net"
	"time"
)

// probe sends what every QUIC server answers, and prints how many bytes come
// back within a second.
func probe(address string) error {
	c, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer c.Close()
	b := make([]byte, 1200)
	copy(b, []byte{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 7, 6, 5, 4, 3, 2, 1})
	for range 5 {
		if _, err := c.Write(b); err != nil {
			break // a machine that says no has said something, counted below
		}
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	got := 0
	for {
		n, err := c.Read(b)
		got += n
		if err != nil {
			fmt.Println(got)
			return nil
		}
	}
}
