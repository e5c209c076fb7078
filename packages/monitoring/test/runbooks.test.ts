import { createTestDatabase, query } from '@cashflow/testing'
import { expect } from 'chai'
import { createAlerts } from '../src/alerts.ts'
import { read, unknownMetrics } from './files.ts'

describe('docs/alerts.md', () => {
  const page = read('runbooks')
  const sections = page.split(/^## /m).slice(1)
  const runbooks = sections.filter((section) => section.startsWith('Cashflow'))
  const nameOf = (section: string) => section.split('\n', 1)[0]

  it('docs/alerts.md: has a runbook for each alert, and no other', () => {
    expect(runbooks.map(nameOf)).to.have.members([...new Set(createAlerts().map(({ name }) => name))])
  })

  it('docs/alerts.md: each runbook says what the alert means, what to look at and what to do', () => {
    for (const runbook of runbooks) {
      const parts = Array.from(runbook.matchAll(/^\*\*(.+?)\*\*:/gm), ([, part]) => part)
      expect(parts, nameOf(runbook)).to.include.ordered.members(['Means', 'Look at', 'Do'])
    }
  })

  it('docs/alerts.md: names each alert in the table of parts, and only metrics that are listed', () => {
    const [, parts = ''] = /^## Which part is down\n([\s\S]*?)^## /m.exec(page) ?? []
    for (const { name } of createAlerts()) expect(parts).to.include(`#${name.toLowerCase()})`)
    expect(unknownMetrics(page).filter((name) => name !== 'cashflow_db_')).to.deep.equal([])
  })

  it('docs/alerts.md: has the shares and the traffic of the burn rates', () => {
    for (const { expr, window } of createAlerts().filter(({ name }) => name === 'CashflowPaymentsLate')) {
      const share = Number(/> (0\.\d+)/.exec(expr)?.[1]) * 100
      const traffic = Number(/>= (\d+)/.exec(expr)?.[1]).toLocaleString('en')
      expect(page, window).to.match(new RegExp(`over ${Number(share.toPrecision(6))} % +\\| ${traffic} payments`))
    }
  })

  it('docs/alerts.md: has SQL that PostgreSQL accepts', async () => {
    const statements = Array.from(page.matchAll(/```sql\n([\s\S]*?)```/g), ([, block = '']) => block)
    expect(statements).to.have.length.above(2)
    const database = await createTestDatabase()
    try {
      for (const statement of statements) await query(database.url, statement)
    } finally {
      await database.drop()
    }
  })
})
