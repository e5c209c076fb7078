import type { ComponentChildren } from 'preact'
import { useEffect } from 'preact/hooks'
import { AuditView } from './audit/audit.tsx'
import { Banner } from './banner.tsx'
import { DeadLetterView } from './dead-letters/dead-letter.tsx'
import { DeadLettersView } from './dead-letters/dead-letters.tsx'
import { Header } from './header.tsx'
import { oldSince, startLive } from './live.ts'
import { Login } from './login.tsx'
import { MerchantView } from './merchants/merchant.tsx'
import { MerchantsView } from './merchants/merchants.tsx'
import { OverviewView } from './overview/overview.tsx'
import { Link } from './parts/link.tsx'
import { Empty, Failed, Loading } from './parts/states.tsx'
import { PaymentView } from './payments/payment.tsx'
import { PaymentsView } from './payments/payments.tsx'
import { route } from './router.ts'
import { SandboxView } from './sandbox/sandbox.tsx'
import { me, sessionError, startSession } from './session.ts'
import { EndpointView } from './webhooks/endpoint.tsx'
import { EndpointsView } from './webhooks/endpoints.tsx'

interface View {
  readonly title: string
  readonly show: () => ComponentChildren
}

function viewOf(path: string): View {
  const [, first = '', id = ''] = path.split('/')
  if (first === '') return { title: 'Overview', show: () => <OverviewView /> }
  if (first === 'payments')
    return id === ''
      ? { title: 'Payments', show: () => <PaymentsView /> }
      : { title: 'Payment', show: () => <PaymentView key={id} id={decodeURIComponent(id)} /> }
  if (first === 'dead-letters')
    return id === ''
      ? { title: 'Dead letters', show: () => <DeadLettersView /> }
      : { title: 'Dead letter', show: () => <DeadLetterView key={id} id={decodeURIComponent(id)} /> }
  if (path === '/sandbox' && me.value?.sandbox_panel) return { title: 'Sandbox', show: () => <SandboxView /> }
  if (first === 'webhooks')
    return id === ''
      ? { title: 'Webhooks', show: () => <EndpointsView /> }
      : { title: 'Webhook endpoint', show: () => <EndpointView key={id} id={decodeURIComponent(id)} /> }
  if (first === 'merchants')
    return id === ''
      ? { title: 'Merchants', show: () => <MerchantsView /> }
      : { title: 'Merchant', show: () => <MerchantView key={id} id={decodeURIComponent(id)} /> }
  if (path === '/audit') return { title: 'Audit log', show: () => <AuditView /> }
  return { title: 'Not found', show: () => <NotFound /> }
}

export function App() {
  useEffect(startLive, [])
  if (me.value === null) return <Login />
  if (me.value === undefined)
    return (
      <main class="login">
        {sessionError.value === null ? (
          <Loading />
        ) : (
          <Failed
            title="The console is not available"
            message={sessionError.value}
            again={() => startSession(undefined)}
          />
        )}
      </main>
    )
  return <Shell />
}

function Shell() {
  const { path } = route.value
  const view = viewOf(path)
  useEffect(() => {
    document.title = `${view.title} · Cashflow`
  }, [view.title])
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <Header path={path} />
      <Banner />
      <main id="main" tabIndex={-1} class={oldSince.value === null ? undefined : 'is-old'}>
        {view.show()}
      </main>
    </>
  )
}

function NotFound() {
  return (
    <>
      <h1>Not found</h1>
      <Empty title="There is no such page">
        <Link href="/">Go to the overview</Link>
      </Empty>
    </>
  )
}
