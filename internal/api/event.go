package api

import "strings"

// Event names what a procedure does, as the audit log does:
// "holo.v1.ArrayService/Create" is "array.create", a bulk write "array.write".
// It is "" for what is no procedure of this API.
func Event(procedure string) string {
	if strings.HasPrefix(procedure, "PUT /v1/arrays/") {
		return "array.write"
	}
	rest, ok := strings.CutPrefix(procedure, "holo.v1.")
	service, method, found := strings.Cut(rest, "Service/")
	if !ok || !found || service == "" || method == "" {
		return ""
	}
	event := snake(service) + "." + snake(method)
	if shorter, ok := events[event]; ok {
		return shorter
	}
	return event
}

// events are those that have a better name than their procedure.
var events = map[string]string{
	"cluster.create_invite": "cluster.invite", "node.set_policy": "cluster.policy", "node.rekey": "cluster.rekey",
	"access.put_grant": "access.grant", "access.revoke_grant": "access.revoke",
	"atomic.apply": "array.atomic", "balance.start": "array.rebalance", "drain.set": "node.drain", "lease.hold": "array.lease",
}

// snake writes CreateInvite as create_invite.
func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r >= 'A' && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
