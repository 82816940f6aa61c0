package door

import (
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/holocompute/holocompute/internal/api"
	"github.com/holocompute/holocompute/internal/holo"
)

// surface refuses what no client of this API sends, before anything looks at
// the call: it is how a browser, led here by a page or by a name that somebody
// makes point here, would look. Handlers and procedures that do not exist are
// refused here too, so that nothing is served that is not in the mux.
func surface(mux *http.ServeMux, b *bodies, refused func(string)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := strange(r); err != nil {
			refused(holo.ReasonOf(err))
			writeError(w, err)
			return
		}
		h, pattern := mux.Handler(r)
		if pattern == "" {
			refused("unknown_procedure")
			writeError(w, holo.Refuse(holo.NotFound, "unknown_procedure", "there is no procedure %.100q", r.URL.Path))
			return
		}
		b.before(h).ServeHTTP(w, r)
	})
}

// strange says what is wrong with a request's outside.
func strange(r *http.Request) error {
	switch {
	case r.Host != api.Host:
		return holo.Refuse(holo.Denied, "foreign_host", "a call to the host %.100q, want %s", r.Host, api.Host)
	case fromBrowser(r.Header):
		return holo.Refuse(holo.Denied, "foreign_origin", "a call on behalf of a web page")
	case !plainPath(r):
		return holo.Refuse(holo.Invalid, "strange_path", "a call to %.100q, want a plain path", r.RequestURI)
	case !expected(r):
		return holo.Refuse(holo.Invalid, "unknown_method", "%.20q of %.100q is not known", r.Method, r.URL.Path)
	}
	return nil
}

// fromBrowser finds the headers that browsers add and pages cannot remove.
func fromBrowser(h http.Header) bool {
	for name := range h {
		if name == "Origin" || name == "Cookie" || strings.HasPrefix(name, "Sec-") {
			return true
		}
	}
	return false
}

// plainPath wants a path in its one spelling: nothing is redirected.
func plainPath(r *http.Request) bool {
	return strings.HasPrefix(r.RequestURI, "/") && path.Clean(r.URL.Path) == r.URL.Path && r.URL.RawPath == "" &&
		r.URL.EscapedPath() == r.URL.Path
}

// expected reports whether the method is one that the path can have.
func expected(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		return r.Method == http.MethodGet || r.Method == http.MethodPut
	}
	return r.Method == http.MethodPost && r.URL.RawQuery == ""
}

// overdue gives a request's body its first deadline before anybody reads it: a
// body that is announced, never sent and never read would hold its connection.
func overdue(control *http.ResponseController, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		_ = control.SetReadDeadline(time.Now().Add(stallAfter)) // sockets have deadlines
	}
}
