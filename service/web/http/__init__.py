"""HTTP/1.1 with bounded resources: a server on httptools, and the same on Tornado's own server.

Use `fast_server` or `stock_server` (both a `server.Server`), `exchange` for the interfaces between
a server and the code that responds, `tornado_exchange` to respond with a Tornado `Application`,
`response_bytes` to respond without Tornado, and `limits`. The other modules are private to this
package: `framer` parses requests, `connection` sends responses in order.
"""
