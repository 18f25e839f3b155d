package alerts

import (
	"context"
	"fmt"
	"strings"

	"github.com/wneessen/go-mail"
)

const (
	submissionPort = 587
	implicitPort   = 465
)

// mail makes a sink that sends mail.
func (s *sink) mail(secret func(string) (string, error)) error {
	trust, err := s.tlsConfig(s.Host)
	if err != nil {
		return err
	}
	port := submissionPort
	options := []mail.Option{mail.WithTLSConfig(trust), mail.WithTimeout(sendTimeout), mail.WithTLSPolicy(mail.TLSMandatory)}
	switch s.TLS {
	case "implicit":
		port = implicitPort
		options = append(options, mail.WithSSL())
	case "none":
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.Port != 0 {
		port = s.Port
	}
	options = append(options, mail.WithPort(port))
	if s.PasswordEnv != "" {
		password, err := secret(s.PasswordEnv)
		if err != nil {
			return err
		}
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(s.User), mail.WithPassword(password))
	}
	s.send = func(ctx context.Context, said Message) error {
		letter, err := s.letter(said)
		if err != nil {
			return err
		}
		client, err := mail.NewClient(s.Host, options...)
		if err != nil {
			return fmt.Errorf("set up the connection to %s: %w", s.Host, err)
		}
		if err := client.DialAndSendWithContext(ctx, letter); err != nil {
			return fmt.Errorf("send mail by %s: %w", s.Host, err)
		}
		return nil
	}
	return nil
}

func (s *sink) letter(said Message) (*mail.Msg, error) {
	letter := mail.NewMsg()
	if err := letter.From(s.From); err != nil {
		return nil, fmt.Errorf("from: %w", err)
	}
	if err := letter.To(s.To...); err != nil {
		return nil, fmt.Errorf("to: %w", err)
	}
	letter.Subject(said.Title)
	letter.SetBodyString(mail.TypeTextPlain, said.Text+"\n")
	letter.SetDateWithValue(said.At)
	// The same alert is the same letter, if it should come twice; a mail server may drop the second.
	_, domain, _ := strings.Cut(s.From, "@")
	letter.SetMessageIDWithValue(hash(said.Key+" "+s.Name) + "@" + domain)
	letter.SetGenHeader("Auto-Submitted", "auto-generated")
	letter.SetGenHeader("X-Perdure-Alert", said.Key)
	return letter, nil
}
