//go:build linux && !android && !static && (amd64 || arm64)

package libcrypto

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Library is the host's libcrypto, opened. It stays open until the process
// ends, since OpenSSL leaves data with the threads that called it. All methods
// may be called from any goroutine.
type Library struct {
	version uintptr // OPENSSL_VERSION_NUMBER: 0xMNN00PP0
	sha256  uintptr // what EVP_sha256 gave, memory of the library

	newContext, freeContext, signInit, setPadding, setDigest, sign uintptr // functions
	parseKey, freeKey, keySize                                     uintptr
	clearErrors, nextError, errorText                              uintptr
}

// Open finds the library among those of the host and initialises it.
func Open() (*Library, error) { return open(Name) }

func open(name string) (*Library, error) {
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	l := &Library{}
	var version, sha256 uintptr
	for _, f := range []struct {
		name string
		at   *uintptr
	}{
		{"OpenSSL_version_num", &version},
		{"EVP_sha256", &sha256},
		{"EVP_PKEY_CTX_new", &l.newContext},
		{"EVP_PKEY_CTX_free", &l.freeContext},
		{"EVP_PKEY_sign_init", &l.signInit},
		{"EVP_PKEY_CTX_set_rsa_padding", &l.setPadding},
		{"EVP_PKEY_CTX_set_signature_md", &l.setDigest},
		{"EVP_PKEY_sign", &l.sign},
		{"d2i_PrivateKey", &l.parseKey},
		{"EVP_PKEY_free", &l.freeKey},
		{"EVP_PKEY_get_size", &l.keySize},
		{"ERR_clear_error", &l.clearErrors},
		{"ERR_get_error", &l.nextError},
		{"ERR_error_string_n", &l.errorText},
	} {
		if *f.at, err = purego.Dlsym(handle, f.name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	l.version, _, _ = purego.SyscallN(version)
	if major := l.version >> 28; major != 3 {
		return nil, fmt.Errorf("%s is of OpenSSL %d, not 3", name, major)
	}
	if l.sha256, _, _ = purego.SyscallN(sha256); l.sha256 == 0 {
		return nil, fmt.Errorf("%s has no SHA-256", name)
	}
	return l, nil
}

// Version is that of the library: "OpenSSL 3.0.19".
func (l *Library) Version() string {
	return fmt.Sprintf("OpenSSL %d.%d.%d", l.version>>28, l.version>>20&0xff, l.version>>4&0xff)
}

// ok is what a function of the library returned, an int of C: 1 is success.
func ok(r uintptr, _, _ uintptr) bool { return int32(r) == 1 }

// do runs f, which calls the library, and tells what went wrong if f is false.
// The library keeps its errors with the thread, so f runs on one.
func (l *Library) do(f func() bool) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	purego.SyscallN(l.clearErrors) // what an earlier call left is not ours
	if f() {
		return nil
	}
	return l.errors()
}

// errors takes the thread's errors, the first of which is the cause.
func (l *Library) errors() error {
	var all []error
	for {
		code, _, _ := purego.SyscallN(l.nextError)
		if code == 0 {
			break
		}
		text := make([]byte, 256) // as the library's manual asks, and more
		purego.SyscallN(l.errorText, code, uintptr(unsafe.Pointer(&text[0])), uintptr(len(text)))
		text, _, _ = bytes.Cut(text, []byte{0})
		all = append(all, errors.New(string(text)))
	}
	if all == nil {
		return errors.New("libcrypto failed without a reason")
	}
	return errors.Join(all...)
}
