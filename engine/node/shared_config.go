package node

import (
	"fmt"
	"net/url"
	"time"

	"millrace/state/store/valkey"
)

// Shared reports whether the budgets are several nodes'.
func (c Config) Shared() bool { return c.Ledger.URL != "" }

func (c Config) validateShared(l *faultList) {
	switch {
	case c.Shared() && len(c.Valkey.Addresses) == 0:
		l.add("valkey.addresses", "a shared ledger without the counter beside it", "name a Valkey server that all nodes use, or leave ledger.url empty")
	case !c.Shared() && len(c.Valkey.Addresses) > 0:
		l.add("ledger.url", "a shared counter without the ledger that decides", "name a PostgreSQL or CockroachDB that all nodes use, or leave valkey.addresses empty")
	}
	if c.Shared() && c.Data == "" {
		l.add("data", "a node that shares budgets with others keeps a journal that they depend on, and a temporary folder is removed on exit", "name a folder that survives restarts")
	}
	c.Ledger.validate(l)
	c.Valkey.validate(l)
}

func (c LedgerConfig) validate(l *faultList) {
	if c.URL != "" {
		u, err := url.Parse(c.URL.Reveal())
		switch {
		case err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "": // err repeats the URL
			l.add("ledger.url", "it is not the URL of a database", "write postgres://user@host:port/database")
		case passwordOf(u) == hidden:
			l.add("ledger.url", "its password is the mask that config print shows", "write the password itself, or leave it out and use ledger.password")
		}
	}
	l.secret("ledger", c.Password, c.PasswordFile)
	l.lasting("ledger.lease", c.Lease, 2*time.Second, time.Hour)
	l.lasting("ledger.timeout", c.Timeout, 100*time.Millisecond, time.Minute)
	l.between("ledger.connections", int64(c.Connections), 4, 1000)
}

func (c ValkeyConfig) validate(l *faultList) {
	l.addresses("valkey.addresses", c.Addresses, "valkey-1.example.com:6379")
	l.secret("valkey", c.Password, c.PasswordFile)
	l.lasting("valkey.timeout", c.Timeout, 10*time.Millisecond, time.Minute)
}

// secret reports a password that is given twice, or is the mask of one.
func (l *faultList) secret(group string, password Secret, file string) {
	switch {
	case password.Reveal() == hidden:
		l.add(group+".password", "it is the mask that config print shows, not a secret", "write the secret itself")
	case password.Reveal() != "" && file != "":
		l.add(group+".password_file", "there is a password too", fmt.Sprintf("give one of %s.password and %s.password_file", group, group))
	}
}

// LedgerURL is where the ledger is, with its password.
func (c LedgerConfig) LedgerURL() (string, error) {
	password, err := c.Password.from(c.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("ledger.password_file: %w", err)
	}
	return c.URL.with(password), nil
}

// Client is the counter's configuration.
func (c ValkeyConfig) Client() (valkey.Config, error) {
	v := valkey.Default()
	password, err := c.Password.from(c.PasswordFile)
	if err != nil {
		return v, fmt.Errorf("valkey.password_file: %w", err)
	}
	v.Addresses, v.Sentinel, v.Username, v.Password, v.Timeout = c.Addresses, c.Sentinel, c.Username, password, c.Timeout
	if c.TLS {
		v.TLS = valkey.TLS()
	}
	return v, nil
}
