import { randomUUID } from 'node:crypto'
import { eventually } from '@cashflow/testing'
import { expect } from 'chai'
import { storeParked } from '../test/stored.ts'
import { type Rig, startRig } from './start-rig.ts'

describe('console in a browser', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig()
  })
  after(() => rig.stop())
  afterEach(() => expect(rig.faults.splice(0), 'errors of the page').to.deep.equal([]))

  const rowOf = (id: string) => rig.db.selectFrom('payments').selectAll().where('id', '=', id).executeTakeFirstOrThrow()

  it('console browser: the overview shows how payments move, with each process', async () => {
    const page = await rig.open()
    const stage = (name: string) => page.locator(`[data-stage="${name}"]`)
    for (const [name, role] of [
      ['API', 'api'],
      ['Outbox', 'relay'],
      ['Worker', 'worker'],
    ])
      await stage(String(name))
        .getByRole('list', { name: `Processes of the ${role}` })
        .getByText('up')
        .waitFor()
    const rate = page.locator('.flow', { hasText: 'created' }).locator('.flow-rate')
    await eventually(async () => {
      await rig.pay(randomUUID())
      expect(Number.parseFloat((await rate.textContent()) ?? '')).to.be.greaterThan(0)
    })
    await page.getByText('All is well').waitFor()
  })

  it('console browser: new payments appear at the top, and the page of one shows its way to SUCCESS', async () => {
    const page = await rig.open('/payments')
    const reference = `REF-${randomUUID()}`
    const id = await rig.pay(reference)
    const first = page.getByRole('table').getByRole('row').nth(1)
    await first.getByText(reference).waitFor()
    await first.getByRole('link').first().click()
    await page.getByRole('heading', { level: 1, name: reference }).waitFor()
    expect(new URL(page.url()).pathname).to.equal(`/payments/${id}`)
    await page.getByText(/payment\.(succeeded|failed)/).waitFor()
  })

  it('console browser: a search finds a payment by its reference and by its id', async () => {
    const reference = `SEARCHED-${randomUUID()}`
    const id = await rig.pay(reference)
    const page = await rig.open('/payments')
    for (const name of [reference, id]) {
      const search = page.getByRole('searchbox')
      await search.fill(name)
      await search.press('Enter')
      await eventually(async () => expect(await page.getByRole('row').count(), name).to.equal(2))
      await page
        .getByRole('cell', { name: reference })
        .or(page.getByRole('rowheader', { name: reference }))
        .waitFor()
    }
  })

  it('console browser: a hostile reference is text, and its direction marks are shown by their names', async () => {
    const reference = `<img src=x onerror=alert(1)>\u202eevil${'💸'.repeat(100)}`
    const { id } = await storeParked(rig.db, '<script>alert(2)</script>', reference)
    const page = await rig.open(`/payments/${id}`)
    const heading = page.getByRole('heading', { level: 1 })
    await heading.getByText('U+202E').waitFor()
    expect(await heading.textContent()).to.include('<img src=x onerror=alert(1)>')
    expect(await page.locator('main img, main script').count()).to.equal(0)
    await page.goto(`${rig.url}/payments?q=${id}`)
    await page.getByText('<img src=x').first().waitFor()
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).to.equal(true)
  })

  it('console browser: an operator settles a parked payment with the keyboard alone', async () => {
    const { id } = await storeParked(rig.db)
    const page = await rig.open(`/payments/${id}`)
    const focused = () => page.evaluate('document.activeElement?.innerText ?? ""')
    await page.getByRole('button', { name: 'Settle…' }).waitFor()
    for (let presses = 0; (await focused()) !== 'Settle…' && presses < 40; presses++) await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Settle the payment' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    expect(await focused(), 'the focus is back').to.equal('Settle…')
    await page.keyboard.press('Enter')
    await page.getByRole('radio').first().focus()
    await page.keyboard.press('Space')
    await page.keyboard.press('Tab')
    await page.keyboard.type('the bank confirmed it')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('The payment was settled as successful.').waitFor()
    expect(await rowOf(id)).to.include({ status: 'SUCCESS' })
    const act = rig.db.selectFrom('operator_actions').select(['action', 'reason']).where('target', '=', id)
    expect(await act.executeTakeFirst()).to.deep.equal({ action: 'payments settle', reason: 'the bank confirmed it' })
  })

  it('console browser: a requeued dead letter lets its payment go on to its end', async () => {
    const { id, letter } = await storeParked(rig.db, 'HTTP 503')
    const page = await rig.open(`/dead-letters/${letter}`)
    await page.getByText('HTTP 503').first().waitFor()
    await page.getByRole('button', { name: /^Requeue/ }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Reason').fill('the provider is back')
    await dialog.getByRole('button', { name: 'Requeue 1 dead letter' }).click()
    await dialog.waitFor({ state: 'detached' })
    await eventually(async () => expect((await rowOf(id)).status).to.not.equal('PENDING'))
  })

  it('console browser: while PostgreSQL is away the page says that what it shows is old', async () => {
    const page = await rig.open()
    rig.proxy.cut()
    try {
      await page.getByText('What you see is old.').waitFor()
    } finally {
      rig.proxy.restore()
    }
    await page.getByText('What you see is old.').waitFor({ state: 'detached' })
  })

  it('console browser: a page of another host that leads to this machine is refused', async () => {
    const page = await rig.newPage()
    const { port } = new URL(rig.url)
    // Every name below localhost leads to this machine, in each browser.
    const answer = await page.goto(`http://evil.localhost:${port}/`)
    expect(answer?.status()).to.equal(421)
    const foreign = await rig.open()
    const status = await foreign.evaluate(
      `fetch('http://evil.localhost:${port}/api/me').then(({ status }) => status, () => 'blocked')`,
    )
    expect(status).to.equal('blocked')
    rig.faults.length = 0 // The policy of the page has blocked the request, and says so.
  })

  it('console browser: without KEY_PEPPER the page of a merchant says that no key can be made', async () => {
    const page = await rig.open('/merchants')
    await page.getByText('the api has no KEY_PEPPER').waitFor()
    await page.getByRole('link', { name: 'default' }).click()
    await page.getByText('the api has no KEY_PEPPER').waitFor()
    expect(await page.getByRole('button', { name: 'New key…' }).count()).to.equal(0)
  })

  it('console browser: without a login the page says how to get one, and a wrong token is refused', async () => {
    const page = await rig.newPage()
    await page.goto(`${rig.url}/payments`)
    await page.getByText('Where to get a token').waitFor()
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Token').fill(rig.token)
    await page.getByRole('button', { name: 'Log in' }).click()
    await page.getByRole('heading', { level: 1, name: 'Payments' }).waitFor()
    expect(page.url()).to.not.include(rig.token)
  })
})
