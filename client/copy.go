package main

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"memcached-backdoor/client/remote"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/record"
)

type copyCommand struct {
	To string `required:"" placeholder:"TARGET" complete:"FILE" help:"The memcached that gets the items: the path of its door, or of its own unix socket, or its address, such as cache2:11211 or [::1]:11211."`

	selecting
	Mode mode `group:"Items:" placeholder:"MODE" complete:"set,add,replace" help:"Which items are stored: set, every one; add, those whose keys are new to the target; replace, those whose keys it has. Default: set."`

	Rate   rate `group:"Pace:" placeholder:"ITEMS" help:"The most items to store per second."`
	Gentle bool `group:"Pace:" help:"Take at most a tenth of the time of one of the target's threads; reading the items comes in addition."`

	NoVerify bool `group:"Output:" help:"Do not read both again at the end, and not compare."`
	watching

	encrypting
}

// encrypting is TLS, as memcached's -Z has it.
type encrypting struct {
	TLS           bool   `group:"TLS:" name:"tls" help:"Encrypt the connection to the address, for a memcached -Z."`
	TLSCA         string `group:"TLS:" name:"tls-ca" placeholder:"FILE" complete:"FILE" help:"The certificates (PEM) of the authorities that may have signed the target's. Default: those of the system."`
	TLSCert       string `group:"TLS:" name:"tls-cert" placeholder:"FILE" complete:"FILE" help:"The client's own certificate (PEM), for a target that wants one (-o ssl_verify_mode)."`
	TLSKey        string `group:"TLS:" name:"tls-key" placeholder:"FILE" complete:"FILE" help:"Its key (PEM). Default: the file of --tls-cert."`
	TLSServerName string `group:"TLS:" name:"tls-server-name" placeholder:"NAME" help:"The name in the target's certificate. Default: that of the address."`
}

// Run copies, verifies and accounts for all items.
func (c *copyCommand) Run(line *commandLine) error {
	config, err := c.config()
	if err != nil {
		return err
	}
	signals := interrupts()
	shown, err := newProgress(c.Progress, "item", false)
	if err != nil {
		return err
	}
	copying := &copying{caller: newCaller(line, signals, shown, 0), command: c}
	if !c.NoVerify {
		copying.verified = newVerification(c)
	}
	status, err := copying.status() // the source comes first: a target may be far away
	if err != nil {
		return err
	}
	if copying.to, err = orInterrupted(signals, func() (sink, error) { return c.sink(signals, config) }); err != nil {
		return err
	}
	defer copying.to.close()
	if itself, err := orInterrupted(signals, func() (bool, error) { return copying.to.is(&copying.caller, status) }); err != nil {
		return err
	} else if itself {
		return errItself
	}
	counts, err := copying.copy()
	if counts == nil {
		return err
	}
	if err == nil && copying.verified != nil {
		if err = copying.verify(); !abandoned(err) { // else what reads may still count
			counts.Verified = &copying.verified.verifyCounts
		}
	}
	return counts.print(line.JSON, err)
}

// config is the configuration of TLS; nil: without it.
func (e *encrypting) config() (*tls.Config, error) {
	if !e.TLS {
		for name, value := range map[string]string{"--tls-ca": e.TLSCA, "--tls-cert": e.TLSCert, "--tls-key": e.TLSKey, "--tls-server-name": e.TLSServerName} {
			if value != "" {
				return nil, usageError{fmt.Errorf("%s means nothing without --tls", name)}
			}
		}
		return nil, nil
	}
	config := &tls.Config{ServerName: e.TLSServerName, MinVersion: tls.VersionTLS12}
	if e.TLSCA != "" {
		text, err := os.ReadFile(e.TLSCA)
		if err != nil {
			return nil, fileError(e.TLSCA, err)
		}
		if config.RootCAs = x509.NewCertPool(); !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: has no certificate in PEM", e.TLSCA)
		}
	}
	if e.TLSCert == "" && e.TLSKey != "" {
		return nil, usageError{errors.New("--tls-key means nothing without --tls-cert")}
	}
	if e.TLSCert != "" {
		own, err := tls.LoadX509KeyPair(e.TLSCert, cmp.Or(e.TLSKey, e.TLSCert))
		if err != nil {
			return nil, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		config.Certificates = []tls.Certificate{own}
	}
	return config, nil
}

// sink connects to the target. What a path is, a door or memcached's own socket, shows when it is tried: a door is of
// another type of socket.
func (c *copyCommand) sink(signals <-chan os.Signal, config *tls.Config) (sink, error) {
	address := remote.Address{Network: "tcp", Address: c.To, TLS: config, Limit: remote.DefaultLimit}
	if _, err := os.Stat(c.To); err == nil || strings.Contains(c.To, "/") {
		if config != nil {
			return nil, usageError{errors.New("--tls is for an address with a port: a unix socket has no TLS")}
		}
		to := caller{door: c.To, signals: signals, shown: noProgress{}}
		conn, err := to.dial()
		if err == nil {
			return c.doorSink(to, conn), nil
		}
		if info, _ := os.Stat(c.To); !errors.Is(err, door.ErrNotDoor) || info == nil || info.Mode().Type() != os.ModeSocket {
			return nil, targetError(err)
		}
		address.Network = "unix"
	} else if _, port, err := net.SplitHostPort(c.To); err != nil || port == "" {
		return nil, usageError{fmt.Errorf("--to %s is neither the path of a socket nor an address with a port, such as cache2:11211 or [::1]:11211", c.To)}
	} else if host, _, _ := net.SplitHostPort(c.To); config != nil && config.ServerName == "" {
		config.ServerName = host
	}
	return newRemoteSink(address, c)
}

// errItself refuses to copy a cache into itself: an item that a client stores meanwhile would be replaced by its old one.
var errItself = usageError{errors.New("--to is the memcached that is copied")}

// doorSink is a target of which a door is open.
func (c *copyCommand) doorSink(to caller, conn *door.Conn) sink {
	return &doorSink{caller: to, conn: conn, request: door.Request{
		Version: door.Protocol, Op: door.OpLoad,
		Rows: door.Rows{Format: record.Dump, Mode: record.Mode(c.Mode)}, Limits: c.limits(),
	}}
}

// targetError is an error of a door's path that --to names. Its status is not that of a missing door: that is the source's.
func targetError(err error) error {
	if interrupted(err) {
		return err
	}
	_, message, hint := explain(err)
	if errors.Is(err, door.ErrNoDoor) || errors.Is(err, door.ErrNotDoor) {
		hint = "--to names the target: its door, its own unix socket, or its address, such as cache2:11211"
	}
	return hintError{errors.New("--to " + message), hint}
}

func (c *copyCommand) limits() limits.Options {
	return limits.Options{Rate: uint64(c.Rate), Gentle: c.Gentle}
}

// request makes the request for the items that are copied.
func (c *copyCommand) request() door.Request { return dumpRequest(dump.MS, c.filter()) }
