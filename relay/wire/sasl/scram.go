package sasl

// ScramKeys are what SCRAM-SHA-256 needs of an account (RFC 5802 section 3).
type ScramKeys struct {
	Salt                 []byte
	Iterations           int
	StoredKey, ServerKey []byte
}
