package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/perdure-io/perdure/definitions"
)

// Holiday is a day on which few people work.
type Holiday struct {
	Date string `json:"date"` // 2001-01-15
	Name string `json:"name"`
}

type calendarConfig struct {
	URL     string        `description:"where the service is; by default, files that come with this program stand in for it"`
	Timeout time.Duration `description:"how long an answer may take"`
}

// HolidayService is a resource: opened once in each worker, shared by its steps, and closed when it drains.
var (
	CalendarConfig = definitions.Config(calendarConfig{URL: "file:///data/holidays", Timeout: 10 * time.Second})
	HolidayService = definitions.Resource("holiday_service", definitions.Bind1(openCalendar, CalendarConfig), (*Calendar).Close)
)

// Calendar asks a service for holidays.
type Calendar struct {
	client *http.Client
	url    string
}

func openCalendar(_ definitions.Context, c calendarConfig) (*Calendar, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.RegisterProtocol("file", http.NewFileTransportFS(data))
	client := &http.Client{Transport: transport, Timeout: c.Timeout}
	return &Calendar{client: client, url: c.URL}, nil
}

// Close lets go of idle connections.
func (c *Calendar) Close() error {
	c.client.CloseIdleConnections()
	return nil
}

// Holidays are those of a year, in the order of their dates.
func (c *Calendar) Holidays(ctx definitions.Context, year int) (holidays []Holiday, err error) {
	url := fmt.Sprintf("%s/%d.json", c.url, year)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask for the holidays of %d: %w", year, err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for the holidays of %d: %w", year, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask for the holidays of %d: %s answers %s", year, url, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(&holidays); err != nil {
		return nil, fmt.Errorf("read the holidays of %d from %s: %w", year, url, err)
	}
	return holidays, nil
}
