// Fastify: parse and validate by its own schema compiler, append to a stream, answer. The batch
// endpoint is like that of RudderStack's gateway: an array of events, each validated, one answer for
// all. Signatures are not verified. Arguments: port, file.
import { createWriteStream } from 'node:fs'
import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'

const [port, file] = process.argv.slice(2)
const log = createWriteStream(file, { flags: 'a' })
const text = { type: ['string', 'null'] }
const object = (required, types, fields) => ({
  type: 'object',
  required,
  properties: {
    type: { enum: types },
    product_id: { type: ['integer', 'null'], minimum: 1 },
    event_id: { type: 'string', format: 'uuid' },
    timestamp: { type: 'string', format: 'date-time' },
    metadata: { type: 'object' },
    context: { type: 'object', properties: { path: text, query: text, referrer: text } },
    ...fields
  }
})
const tenant_id = { type: ['integer', 'string'], minimum: 1 }
const bodies = {
  interactions: object(
    ['tenant_id', 'type'], ['view', 'whatsapp_click', 'call_click', 'maps_click'], { tenant_id }),
  track: object(['tenant_id', 'type'], ['cart_add', 'social_share'], { tenant_id }),
  conversion: object(['tenant_slug', 'transaction_id'], ['purchase'], {
    tenant_slug: { type: 'string' },
    transaction_id: { type: 'string' },
    value: { type: 'number' },
    currency: { type: 'string', pattern: '^[A-Z]{3}$' }
  })
}
const routes = {
  '/api/v1/interactions': [bodies.interactions, 201],
  '/api/v1/analytics/track': [bodies.track, 202],
  '/api/v1/analytics/conversion': [bodies.conversion, 200]
}
const batch = {
  type: 'array',
  items: {
    type: 'object',
    required: ['endpoint'],
    discriminator: { propertyName: 'endpoint' },
    oneOf: Object.entries(bodies).map(([endpoint, body]) => (
      { ...body, properties: { ...body.properties, endpoint: { const: endpoint } } }))
  }
}

const line = (event) => JSON.stringify({ event_id: randomUUID(), ...event }) + '\n'
const app = Fastify({ ajv: { customOptions: { discriminator: true } } })
// Browsers send JSON as text/plain, which needs no preflight.
app.addContentTypeParser('text/plain', { parseAs: 'string' }, app.getDefaultJsonParser('error', 'error'))
for (const [path, [body, status]] of Object.entries(routes)) {
  app.post(path, { schema: { body } }, async (request, reply) => {
    log.write(line(request.body))
    reply.code(status)
    return { status: 'success' }
  })
}
app.post('/api/v1/analytics/batch', { schema: { body: batch } }, async (request) => {
  log.write(request.body.map(line).join(''))
  return { status: 'success' }
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
