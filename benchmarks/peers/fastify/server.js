// Fastify: parse and validate by its own schema compiler, append to a stream, answer.
// Arguments: port, file.
import { createWriteStream } from 'node:fs'
import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'

const [port, file] = process.argv.slice(2)
const log = createWriteStream(file, { flags: 'a' })
const body = {
  type: 'object',
  required: ['tenant_id', 'type'],
  properties: {
    tenant_id: { type: 'integer', minimum: 1 },
    type: { enum: ['view', 'whatsapp_click', 'call_click', 'maps_click'] },
    product_id: { type: 'integer', minimum: 1 },
    metadata: { type: 'object' }
  }
}

const app = Fastify()
app.post('/api/v1/interactions', { schema: { body } }, async (request, reply) => {
  log.write(JSON.stringify({ event_id: randomUUID(), ...request.body }) + '\n')
  reply.code(201)
  return { status: 'success' }
})
await app.listen({ host: '127.0.0.1', port: Number(port) })
