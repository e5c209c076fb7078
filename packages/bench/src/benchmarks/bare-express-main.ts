import type { AddressInfo } from 'node:net'
import { createLogger } from '@cashflow/runtime'
import express from 'express'

/** Express with a body parser and one route, and nothing else: the limit of any API on Express. */
const app = express()
app.use(express.json())
app.post('/payments', (_req, res) => {
  res.status(201).json({ status: 'PENDING' })
})

const logger = createLogger({ service: 'bare', level: 'info' })
const server = app.listen(0, '127.0.0.1', () => {
  logger.info('listening', { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
  logger.info('ready')
})
process.once('SIGTERM', () => process.exit(0))
