package alerts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// What Slack takes of a header and of a section, in characters.
	maxSlackHeader  = 150
	maxSlackSection = 3000
	// maxAnswer is how much of a server's answer an error says.
	maxAnswer = 200
)

// hook makes a sink that sends webhooks.
func (s *sink) hook(secret func(string) (string, error)) (err error) {
	address, headers := s.URL, http.Header{}
	if s.URLEnv != "" {
		if address, err = secret(s.URLEnv); err != nil {
			return err
		}
		if parsed, err := url.Parse(address); err != nil || parsed.Host == "" {
			return fmt.Errorf("the environment variable %s holds no URL", s.URLEnv)
		}
	}
	for name, value := range s.Headers {
		headers.Set(name, value)
	}
	for _, name := range slices.Sorted(maps.Keys(s.HeadersEnv)) {
		value, err := secret(s.HeadersEnv[name])
		if err != nil {
			return err
		}
		headers.Set(name, value)
	}
	trust, err := s.tlsConfig("")
	if err != nil {
		return err
	}
	client := &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, ForceAttemptHTTP2: true},
		// Followed, most redirects make a GET of it, which tells nobody; and secret headers would go elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.send = func(ctx context.Context, said Message) error {
		var content any = said
		if s.Type == "slack" {
			content = slackOf(said)
		}
		return post(ctx, client, address, headers, said.Key, content)
	}
	return nil
}

func post(ctx context.Context, client *http.Client, address string, headers http.Header, key string, content any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode the alert: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(data))
	if err != nil {
		return errors.New("the URL is none that can be called")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "perdure")
	request.Header.Set("Idempotency-Key", key)
	maps.Copy(request.Header, headers)
	response, err := client.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err // without the URL, which may be a secret
	}
	if err != nil {
		return err
	}
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)) // so that the connection is used again
	_ = response.Body.Close()
	if response.StatusCode/100 == 3 {
		return fmt.Errorf("it answers %s, and redirects are not followed: give the address that it leads to", response.Status)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s: %s", response.Status, strings.Join(strings.Fields(strings.ToValidUTF8(string(answer), "")), " "))
	}
	return nil
}

// slackOf is an alert as Slack's incoming webhooks, and what is compatible with them, take it.
func slackOf(said Message) map[string]any {
	blocks := []any{
		map[string]any{"type": "header", "text": map[string]any{"type": "plain_text", "text": cutRunes(said.Title, maxSlackHeader)}},
		map[string]any{"type": "section", "text": map[string]any{"type": "mrkdwn", "text": cutRunes(slackEscape(said.Text), maxSlackSection)}},
	}
	if said.URL != "" {
		blocks = append(blocks, map[string]any{"type": "actions", "elements": []any{map[string]any{
			"type": "button", "text": map[string]any{"type": "plain_text", "text": "Temporal's Web UI"}, "url": said.URL,
		}}})
	}
	return map[string]any{"text": slackEscape(said.Title), "blocks": blocks}
}

// slackEscape keeps text from being taken for links and mentions.
func slackEscape(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

func cutRunes(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
