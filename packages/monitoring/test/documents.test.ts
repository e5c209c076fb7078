import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchPrometheus, REPOSITORY } from '@cashflow/testing'
import { expect } from 'chai'
import { parse } from './promtool.ts'

const programs = await fetchPrometheus()

const readPage = (file: string) => readFileSync(join(REPOSITORY, file), 'utf8')

/** Names of metrics, from the table that a test of `packages/testing` compares with running services. */
const LISTED = new Set(
  Array.from(readPage('docs/metrics.md').matchAll(/^\| `(cashflow_\w+)` \|/gm), ([, name]) => name),
)
/** Names that look like those of metrics: roles, and the table of migrations. */
const OTHERS = ['cashflow_owner', 'cashflow_operator', 'cashflow_migration']

/** Pages that say what is there. */
function pages(): string[] {
  const files = execFileSync('git', ['ls-files', '*.md'], { cwd: REPOSITORY, encoding: 'utf8' }).trim().split('\n')
  return files.filter((file) => file !== 'CHANGELOG.md' && !file.startsWith('docs/decisions/'))
}

/** Names in a page that no metric has. The series of a histogram have its name, and an ending. */
function unlisted(page: string): string[] {
  // Not the beginning of names, such as cashflow_db_, and no placeholder.
  const named = page.match(/\bcashflow_\w*[a-z]\b(?![…<{*])/g) ?? []
  return named.filter(
    (name) => !LISTED.has(name) && !LISTED.has(name.replace(/_(bucket|sum|count)$/, '')) && !OTHERS.includes(name),
  )
}

/** PromQL of a page: its blocks, and calls of functions within a sentence. */
function expressionsOf(page: string): string[] {
  const blocks = Array.from(page.matchAll(/^```promql\n([\s\S]*?)^```/gm), ([, block = '']) => block)
  const inline = Array.from(page.matchAll(/`([a-z_]+\([^`\n]*\bcashflow_[^`\n]*)`/g), ([, text = '']) => text)
  return [...blocks, ...inline]
}

describe('documents', () => {
  const expressions = pages().flatMap((file) => expressionsOf(readPage(file)))

  it('documents: name only metrics that exist', () => {
    expect(LISTED.size).to.be.above(40)
    const found = pages().flatMap((file) => unlisted(readPage(file)).map((name) => `${file}: ${name}`))
    expect(found).to.deep.equal([])
  })

  it('documents: an unknown metric is found, and PromQL in blocks and in sentences', () => {
    expect(
      unlisted('`cashflow_db_` and `cashflow_db_payment` and cashflow_http_request_duration_seconds_bucket'),
    ).to.eql(['cashflow_db_payment'])
    expect(expressions).to.have.length.above(1)
  })

  if (programs)
    it('documents: have no PromQL that Prometheus cannot parse', async () => {
      await parse(programs.promtool, expressions)
    })
})
