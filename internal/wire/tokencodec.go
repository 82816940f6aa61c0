package wire

func (m *TokenKeyChange) encode(e *Encoder) {
	e.U8(uint8(m.To))
	e.Fixed(m.Key[:])
	e.Fixed(m.Authority[:])
	e.U64(m.Epoch)
	e.Fixed(m.Sig[:])
	if m.To == TokenKeyPrepared {
		e.Fixed(m.Registrant[:])
		e.Fixed(m.KeySig[:])
	}
}

func (m *TokenKeyChange) decode(d *Decoder) {
	m.To = d.tokenKeyState()
	d.Fixed(m.Key[:])
	d.Fixed(m.Authority[:])
	m.Epoch = d.U64()
	d.Fixed(m.Sig[:])
	if m.To == TokenKeyPrepared {
		d.Fixed(m.Registrant[:])
		d.Fixed(m.KeySig[:])
	}
}

func (d *Decoder) tokenKeyState() TokenKeyState {
	s := TokenKeyState(d.U8())
	d.Valid(s > 0 && s < tokenKeyStates, "state of a token key")
	return s
}

// unix reads a time in seconds since 1970.
func (d *Decoder) unix() int64 {
	v := int64(d.U64())
	d.Valid(v >= 0, "time")
	return v
}

func (m *TokenKeyRecord) encode(e *Encoder) {
	e.Fixed(m.Key[:])
	e.Fixed(m.Registrant[:])
	e.U8(uint8(m.State))
	e.U64(uint64(m.Registered))
	e.U64(uint64(m.Retired))
	e.Fixed(m.Authority[:])
	e.U64(m.Epoch)
	e.Fixed(m.Sig[:])
}

func (m *TokenKeyRecord) decode(d *Decoder) {
	d.Fixed(m.Key[:])
	d.Fixed(m.Registrant[:])
	m.State = d.tokenKeyState()
	m.Registered = d.unix()
	m.Retired = d.unix()
	d.Fixed(m.Authority[:])
	m.Epoch = d.U64()
	d.Fixed(m.Sig[:])
}

func (m *TokenRecord) encode(e *Encoder) {
	e.Fixed(m.ID[:])
	e.Fixed(m.Key[:])
	e.Fixed(m.Subject[:])
	e.Fixed(m.Client[:])
	e.U64(uint64(m.Issued))
	e.U64(uint64(m.Expires))
}

func (m *TokenRecord) decode(d *Decoder) {
	d.Fixed(m.ID[:])
	d.Fixed(m.Key[:])
	d.Fixed(m.Subject[:])
	d.Fixed(m.Client[:])
	m.Issued = d.unix()
	m.Expires = d.unix()
}

func (m *TokenIssued) encode(e *Encoder) {
	m.Token.encode(e)
	e.Fixed(m.Sig[:])
}

func (m *TokenIssued) decode(d *Decoder) {
	m.Token.decode(d)
	d.Fixed(m.Sig[:])
}

func (d *Decoder) revokeKind() RevokeKind {
	k := RevokeKind(d.U8())
	d.Valid(k > 0 && k < revokeKinds, "kind of revocation")
	return k
}

func (m *TokenRevoke) encode(e *Encoder) {
	e.U8(uint8(m.Kind))
	e.Fixed(m.Name[:])
	e.Fixed(m.Authority[:])
	e.U64(m.Epoch)
	e.Fixed(m.Sig[:])
}

func (m *TokenRevoke) decode(d *Decoder) {
	m.Kind = d.revokeKind()
	d.Fixed(m.Name[:])
	d.Fixed(m.Authority[:])
	m.Epoch = d.U64()
	d.Fixed(m.Sig[:])
}

func (m *Revocation) encode(e *Encoder) {
	e.U8(uint8(m.Kind))
	e.Fixed(m.Name[:])
	e.U64(uint64(m.Before))
	e.U64(uint64(m.Expires))
}

func (m *Revocation) decode(d *Decoder) {
	m.Kind = d.revokeKind()
	d.Fixed(m.Name[:])
	m.Before = d.unix()
	m.Expires = d.unix()
}

func (m *TokenFeed) encode(e *Encoder) {
	e.U64(m.Epoch)
	e.Count(len(m.Keys))
	for i := range m.Keys {
		m.Keys[i].encode(e)
	}
	e.Count(len(m.Revocations))
	for i := range m.Revocations {
		m.Revocations[i].encode(e)
	}
}

func (m *TokenFeed) decode(d *Decoder) {
	m.Epoch = d.U64()
	for range d.Count(MaxTokenKeys, tokenKeyBytes) {
		var r TokenKeyRecord
		r.decode(d)
		m.Keys = append(m.Keys, r)
	}
	for range d.Count(MaxKnownRevocations, revocationBytes) {
		var r Revocation
		r.decode(d)
		m.Revocations = append(m.Revocations, r)
	}
}
