package delivery

// Sockets is how many slots are taken.
func (c *Client) Sockets() int {
	c.pool.mu.Lock()
	defer c.pool.mu.Unlock()
	return c.pool.open
}
