package door

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"

	"github.com/holocompute/holocompute/internal/api/holo/v1/holov1connect"
)

// Limits of a connection.
const (
	headerBytes  = 16 << 10
	headerWithin = 5 * time.Second
	idleConn     = 2 * time.Minute
	// stallAfter ends a transfer of which nothing has moved for so long.
	stallAfter = 30 * time.Second
)

// newServer puts the handlers behind the gate.
func newServer(c Config, table *sessions) *http.Server {
	g := &gate{
		routes: routes, sessions: table, policy: c.Backend, audit: c.Backend, quotas: newQuotas(), refused: c.Refused, log: c.Logger,
	}
	h := handlers{b: c.Backend, sessions: g.sessions}
	mux := http.NewServeMux()
	small := options(g, smallBody)
	mux.Handle(holov1connect.NewSessionServiceHandler(sessionService{h}, small...))
	mux.Handle(holov1connect.NewClusterServiceHandler(clusterService{h}, small...))
	mux.Handle(holov1connect.NewArrayServiceHandler(arrayService{h}, small...))
	mux.Handle(holov1connect.NewAtomicServiceHandler(atomicService{h}, small...))
	mux.Handle(holov1connect.NewLeaseServiceHandler(leaseService{h}, small...))
	mux.Handle(holov1connect.NewBufferServiceHandler(bufferService{h}, small...))
	mux.Handle(holov1connect.NewKernelServiceHandler(kernelService{h}, options(g, moduleBody)...))
	mux.Handle(holov1connect.NewJobServiceHandler(jobService{h}, small...))
	mux.Handle(holov1connect.NewReceiptServiceHandler(receiptService{h}, small...))
	mux.Handle(holov1connect.NewTraceServiceHandler(traceService{h}, small...))
	mux.Handle(holov1connect.NewNodeServiceHandler(nodeService{h}, small...))
	mux.Handle(holov1connect.NewDrainServiceHandler(drainService{h}, small...))
	mux.Handle(holov1connect.NewBalanceServiceHandler(balanceService{h}, small...))
	mux.Handle(holov1connect.NewKeyServiceHandler(keyService{h}, small...))
	mux.Handle(holov1connect.NewAccessServiceHandler(accessService{h}, small...))
	mux.Handle(holov1connect.NewAuditServiceHandler(auditService{h}, small...))
	mux.Handle(holov1connect.NewTokenServiceHandler(tokenService{h}, small...))
	mux.Handle("/v1/arrays/{id}/data", newBulk(c.Backend, g))
	base, stop := context.WithCancel(context.Background())
	s := &http.Server{
		Handler:           timed(g, surface(mux, newBodies(g), c.Refused)),
		ReadHeaderTimeout: headerWithin,
		IdleTimeout:       idleConn,
		MaxHeaderBytes:    headerBytes,
		ErrorLog:          slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withPeer,
	}
	// Watches last as long as their job: a closing node ends them.
	s.RegisterOnShutdown(stop)
	return s
}

// options are a service's: the gate, the largest request, and no compression,
// which on a local socket only costs and could make much out of little.
func options(g *gate, limit int) []connect.HandlerOption {
	return []connect.HandlerOption{
		connect.WithInterceptors(g),
		connect.WithReadMaxBytes(limit),
		connect.WithCompression("gzip", nil, nil),
	}
}

// timed ends transfers that stall, in either direction.
func timed(g *gate, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Time{}) // the connection may have the last answer's
		overdue(control, r)
		r.Body = &timedBody{ReadCloser: r.Body, control: control}
		unheard := func(status int) { g.unheard(r, w.Header(), status) }
		next.ServeHTTP(&timedWriter{ResponseWriter: w, control: control, unheard: unheard}, r)
	})
}

// timedWriter gives every write its own deadline, the head's included: an
// answer may be a head alone.
type timedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	unheard func(status int)
}

func (w *timedWriter) WriteHeader(status int) {
	w.unheard(status)
	_ = w.control.SetWriteDeadline(time.Now().Add(stallAfter)) // sockets have deadlines
	w.ResponseWriter.WriteHeader(status)
}

func (w *timedWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(stallAfter)) // sockets have deadlines
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach what is inside.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush sends what was written: streams need it.
func (w *timedWriter) Flush() { _ = w.control.Flush() }
