import { ConfigError, type Env, parseEnv } from '@cashflow/runtime'
import { expect } from 'chai'
import * as z from 'zod'
import { tracingEnv, tracingSettings } from '../src/index.ts'

const settingsOf = (env: Env) => tracingSettings(parseEnv(z.object(tracingEnv), env))

describe('settings of tracing', () => {
  it('settings of tracing: nothing is traced without an endpoint', () => {
    expect(settingsOf({})).to.deep.equal({ url: undefined, headers: {} })
  })

  it('settings of tracing: the endpoint gets the path of traces', () => {
    for (const endpoint of ['http://collector:4318', 'http://collector:4318/'])
      expect(settingsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }).url).to.equal('http://collector:4318/v1/traces')
  })

  it('settings of tracing: headers are a list of names and percent-encoded values', () => {
    const headers = 'authorization=Basic%20Zm9v==, tenant = one,'
    expect(settingsOf({ OTEL_EXPORTER_OTLP_HEADERS: headers }).headers).to.deep.equal({
      authorization: 'Basic Zm9v==',
      tenant: 'one',
    })
  })

  for (const [name, value] of [
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'collector:4318'],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'http://user:hunter2@collector:4318'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'hunter2'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a b=hunter2'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=hunter2%'],
    ['OTEL_EXPORTER_OTLP_HEADERS', 'a=hunter2%0d%0a'],
  ] as const)
    it(`settings of tracing: ${name}=${value} is refused by name, and not shown`, () => {
      const parse = () => settingsOf({ [name]: value })
      expect(parse).to.throw(ConfigError, name)
      expect(parse).not.to.throw(/hunter2/)
    })
})
