import { oldSince, overview } from './live.ts'
import { Link } from './parts/link.tsx'
import { Chosen } from './parts/text.tsx'
import { logOut, me } from './session.ts'

const VIEWS = [
  { href: '/', name: 'Overview' },
  { href: '/payments', name: 'Payments' },
  { href: '/dead-letters', name: 'Dead letters' },
  { href: '/webhooks', name: 'Webhooks' },
  { href: '/merchants', name: 'Merchants' },
  { href: '/audit', name: 'Audit' },
] as const

export function Header({ path }: { readonly path: string }) {
  const operator = me.value
  return (
    <header class="header">
      <div class="header-inner">
        <Link href="/" class="brand">
          <img src="/icon.svg" alt="" width={24} height={24} />
          Cashflow
        </Link>
        {operator?.sandbox && !operator.sandbox_panel && <span class="tag">Sandbox</span>}
        <nav aria-label="Views">
          {VIEWS.map(({ href, name }) => (
            <Link key={href} href={href} isCurrent={isWithin(path, href)}>
              {name}
            </Link>
          ))}
          {operator?.sandbox_panel && (
            <Link href="/sandbox" isCurrent={path === '/sandbox'}>
              Sandbox
            </Link>
          )}
        </nav>
        <div class="header-end">
          <Liveness />
          <span class="operator">
            <Chosen text={operator?.name ?? ''} />
            <span class="muted">{operator?.role === 'operate' ? 'may operate' : 'may only read'}</span>
          </span>
          <button type="button" class="small" onClick={logOut}>
            Log out
          </button>
        </div>
      </div>
    </header>
  )
}

const isWithin = (path: string, href: string) => path === href || (href !== '/' && path.startsWith(`${href}/`))

function Liveness() {
  const [tone, text] =
    oldSince.value !== null ? ['bad', 'Old'] : overview.value === null ? ['quiet', 'Connecting'] : ['ok', 'Live']
  return <span class={`pill ${tone}`}>{text}</span>
}
