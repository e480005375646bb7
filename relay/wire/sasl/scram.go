package sasl

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/xdg-go/scram"
)

// ScramKeys are what SCRAM-SHA-256 needs of an account (RFC 5802 section 3).
type ScramKeys struct {
	Salt                 []byte
	Iterations           int
	StoredKey, ServerKey []byte
}

var (
	errProof    = errors.New("the proof is wrong")
	errLastWord = errors.New("the client said more when all was said")
)

// scramServer is SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding:
// the client speaks first, proves that it has the password, hears our proof that
// we have its keys, and ends with an empty response, since POP3 and SMTP have no
// place for data in a success.
type scramServer struct {
	ask Asker

	conv    *scram.ServerConversation
	user    string
	keyed   bool  // Keys gave keys: there is an end to report
	known   bool  // and they are somebody's
	told    bool  // and the end was reported
	asked   error // what Keys said
	good    bool  // the proof was good; the client has still to hear ours
	account string
}

func (v *scramServer) next(response []byte) (challenge []byte, account string, done bool, err error) {
	if v.good {
		if len(response) != 0 {
			return nil, "", false, errLastWord
		}
		return nil, v.account, true, nil
	}
	if v.conv == nil {
		if response == nil { // no initial response: the client speaks first all the same
			return []byte{}, "", false, nil
		}
		if err := v.begin(); err != nil {
			return nil, "", false, err
		}
	}
	answer, err := v.conv.Step(string(response))
	switch {
	case v.asked != nil:
		return nil, "", false, v.asked
	case !v.keyed: // it did not come to a name
		return nil, "", false, fmt.Errorf("before a name was told: %w", cmp.Or(err, errProof))
	case err == nil && !v.conv.Done():
		return []byte(answer), "", false, nil
	}
	return []byte(answer), "", false, v.judge(err)
}

// judge reports the end of the exchange; err is what was wrong with the
// client's message.
func (v *scramServer) judge(err error) error {
	good := err == nil && v.conv.Valid() && v.known &&
		(v.conv.AuthzID() == "" || v.conv.AuthzID() == v.user)
	v.told = true
	account, refused := v.ask.Proved(v.user, good)
	switch {
	case refused != nil:
		return refused
	case !good:
		return cmp.Or(err, errProof)
	}
	v.good, v.account = true, account
	return nil
}

func (v *scramServer) cancel() {
	if v.keyed && !v.told {
		v.told = true
		_, _ = v.ask.Proved(v.user, false) // nobody is left to hear more
	}
}

func (v *scramServer) begin() error {
	server, err := scram.SHA256.NewServer(func(user string) (scram.StoredCredentials, error) {
		k, known, err := v.ask.Keys(user)
		if err != nil {
			v.asked = err
			return scram.StoredCredentials{}, err
		}
		v.known, v.user, v.keyed = known, user, true
		return scram.StoredCredentials{
			KeyFactors: scram.KeyFactors{Salt: string(k.Salt), Iters: k.Iterations},
			StoredKey:  k.StoredKey, ServerKey: k.ServerKey,
		}, nil
	})
	if err != nil {
		return err
	}
	v.conv = server.NewConversation()
	return nil
}
