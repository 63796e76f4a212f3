package main

import (
	"strings"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/hot"
)

// hotCommand is the search for hot keys whose outcome is in the page.
func (c *reportCommand) hotCommand() *hotCommand {
	return &hotCommand{By: string(hot.ByRequests), Limit: hot.CountDefault, Duration: c.Hot}
}

// askHot looks at memcached's requests.
func (r *cacheReport) askHot(call caller) (*door.HotKeys, error) {
	request, err := r.of.hotCommand().request()
	if err != nil {
		return nil, err
	}
	return call.hot(request)
}

// hotSections list the keys with the most requests, if that was asked for.
func (r *cacheReport) hotSections() []reportSection {
	if r.hot == nil {
		return nil
	}
	c := r.of.hotCommand()
	s := reportSection{ID: "hot", Title: "The keys with the most requests", Open: true, Text: []string{hotSummary(r.hot) + "."}}
	for _, note := range c.notes(r.hot) {
		_, text, _ := strings.Cut(note, ": ")
		s.Text = append(s.Text, "Note: "+text+".")
	}
	s.Table.Head = []string{"Key", "Requests/s", "±", "Bytes/s", "Misses/s"}
	for _, k := range r.hot.Keys {
		bytes := size(uint64(k.Bytes))
		if r.hot.Unsized {
			bytes = "?"
		}
		s.Table.Rows = append(s.Table.Rows, reportRow{Name: shownKey(k.Key), Figures: []string{perSecond(k.Requests), c.errorOf(&k), bytes, perSecond(k.Misses)}})
	}
	return []reportSection{s}
}
