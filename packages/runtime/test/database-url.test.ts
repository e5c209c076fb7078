import { join } from 'node:path'
import { expect } from 'chai'
import * as z from 'zod'
import { type ConfigError, databaseEnv, databaseUrl, hostUrls, parseEnv, splitTls } from '../src/index.ts'

/** A self-signed certificate. */
const CERTIFICATE = join(import.meta.dirname, '../../../services/worker/test/certificate/certificate.pem')
const KEY = join(import.meta.dirname, '../../../services/worker/test/certificate/key.pem')

const url = (env: Record<string, string>) => databaseUrl(parseEnv(z.object(databaseEnv), env))

function refusal(env: Record<string, string>): string {
  try {
    return `taken as ${url(env)}`
  } catch (error) {
    return (error as ConfigError).message
  }
}

describe('address of PostgreSQL', () => {
  for (const [DB_HOST, ...places] of [
    ['db', 'db:5432'],
    ['db:5433', 'db:5433'],
    ['10.0.0.1', '10.0.0.1:5432'],
    ['::1', '[::1]:5432'],
    ['[::1]', '[::1]:5432'],
    ['[::1]:5433', '[::1]:5433'],
    ['/var/run/postgresql', '%2Fvar%2Frun%2Fpostgresql:5432'],
    ['/cloudsql/project:region:one', '%2Fcloudsql%2Fproject%3Aregion%3Aone:5432'],
    ['a, b:5433,::1,[::1]:5434', 'a:5432', 'b:5433', '[::1]:5432', '[::1]:5434'],
    [' my_db.example\n', 'my_db.example:5432'],
  ] as const) {
    it(`reads the address of PostgreSQL from DB_HOST=${JSON.stringify(DB_HOST)}`, () => {
      const urls = places.map((place) => `postgres://postgres:postgres@${place}/payments`)
      expect(url({ DB_HOST })).to.equal(`postgres://postgres:postgres@${places.join(',')}/payments`)
      expect(hostUrls(url({ DB_HOST }))).to.deep.equal(urls)
    })
  }

  for (const [given, ...urls] of [
    ['postgres://u:p@a:1,[::1]:2,c/db?x=y', 'a:1/db?x=y', '[::1]:2/db?x=y', 'c/db?x=y'],
    ['postgres://u:p@/db?host=/var/run/postgresql', '%2Fvar%2Frun%2Fpostgresql/db'],
    ['postgres:///db?host=/tmp&port=5433&user=u&password=p', '%2Ftmp:5433/db'],
    ['postgres://u:p@localhost:5433/db?host=/tmp', '%2Ftmp:5433/db'],
    ['postgres://u:p@%2Fvar%2Frun:5433/db', '%2Fvar%2Frun:5433/db'],
    ['postgres:///?host=a,b&port=1,2&dbname=db&user=u&password=p', 'a:1/db', 'b:2/db'],
    ['postgres://u:p@a,b/db?port=5433', 'a:5433/db', 'b:5433/db'],
    ['postgres://u:p@/db', 'localhost/db'],
    ['postgres://u:p@h', 'h/'],
    ['POSTGRES://u:p@H/db\n', 'H/db'],
    ['postgres://u:p@h/a%2Fb', 'h/a/b'],
    ['postgres://u:p@h/db?options=-c%20search_path%3Dapp', 'h/db?options=-c%20search_path%3Dapp'],
    ['postgres://u:p@h/db?sslmode=disable', 'h/db?sslmode=disable'],
    ['postgres://u:p@h/db?sslmode=no-verify', 'h/db?sslmode=no-verify'],
    ['postgres://u:p@h/db?sslmode=require', 'h/db?sslmode=require'],
    ['postgres://u:p@h/db?sslmode=require&uselibpqcompat=true', 'h/db?sslmode=require'],
    ['postgres://u:p@h/db?ssl=false', 'h/db?sslmode=disable'],
    ['postgres://u:p@h/db?ssl=true', 'h/db?sslmode=verify-full'],
    ['postgres://u:p@h/db?ssl=0&sslmode=require', 'h/db?sslmode=require'],
    ['postgres://u:p@h/db?sslrootcert=system', 'h/db?sslrootcert=system&sslmode=verify-full'],
    ['postgres://u:p@h/db?sslnegotiation=direct', 'h/db?sslnegotiation=direct&sslmode=verify-full'],
    ['postgres://u:p@h/db?sslmode=disable&sslrootcert=/nowhere', 'h/db?sslrootcert=%2Fnowhere&sslmode=disable'],
    ['postgres://u:p@h/db?target_session_attrs=read-write', 'h/db'],
  ] as const) {
    it(`reads the address of PostgreSQL from DATABASE_URL=${JSON.stringify(given)}`, () => {
      const own = hostUrls(url({ DATABASE_URL: given }))
      expect(own).to.deep.equal(urls.map((rest) => `postgres://u:p@${rest}`))
      // A second reading of the result gives the same.
      expect(hostUrls(url({ DATABASE_URL: url({ DATABASE_URL: given }) }))).to.deep.equal(own)
    })
  }

  for (const [env, reason] of [
    [{ DB_HOST: 'db:' }, /DB_HOST: must have hosts such as/],
    [{ DB_HOST: 'db:99999' }, /DB_HOST: must have ports from 1 to 65535/],
    [{ DB_HOST: 'a,,b' }, /DB_HOST: must have hosts such as/],
    [{ DB_HOST: 'http://db' }, /DB_HOST: must have hosts such as/],
    [{ DB_HOST: 'db:5432/payments' }, /DB_HOST: must have hosts such as/],
    [{ DB_HOST: '"db"' }, /DB_HOST: must not have quotes/],
    [{ DB_HOST: 'fe80::1%eth0' }, /DB_HOST: must not name an IPv6 address with a zone/],
    [{ DB_HOST: '/var/run/postgresql/.s.PGSQL.5432' }, /DB_HOST: must name the folder of a Unix socket/],
    [{ DB_PORT: '5432/' }, /DB_PORT: must be a port/],
    [{ DB_PORT: '0' }, /DB_PORT: must be a port/],
    [{ DB_PORT: 'tcp://10.0.0.1:5432' }, /DB_PORT: must be a port/],
    [{ DB_NAME: 'a?b' }, /DB_NAME: must not have/],
    [{ DATABASE_URL: 'hunter2' }, /DATABASE_URL: must begin with postgres:\/\/ or postgresql:\/\//],
    [{ DATABASE_URL: 'jdbc:postgresql://hunter2/db' }, /DATABASE_URL: must begin with postgres/],
    [{ DATABASE_URL: 'postgresql+psycopg://u:hunter2@h/db' }, /DATABASE_URL: must begin with postgres/],
    [{ DATABASE_URL: 'socket:///hunter2?db=x' }, /DATABASE_URL: must begin with postgres/],
    [{ DATABASE_URL: '"postgres://u:hunter2@h/db"' }, /DATABASE_URL: must not have quotes/],
    [{ DATABASE_URL: 'postgres://u:hunter2%@h/db' }, /DATABASE_URL: must percent-encode/],
    [{ DATABASE_URL: 'postgres://u:hunter2%E9@h/db' }, /DATABASE_URL: must percent-encode/],
    [{ DATABASE_URL: 'postgres://u:hunter2/x@h/db' }, /DATABASE_URL: .*must percent-encode/],
    [{ DATABASE_URL: 'postgres://hunter2:12/x@h/db' }, /DATABASE_URL: must percent-encode/],
    [{ DATABASE_URL: 'postgres://hunter2:12#x@h/db' }, /DATABASE_URL: must percent-encode/],
    [{ DATABASE_URL: 'postgres://hunter2:12?x@h/db' }, /DATABASE_URL: must percent-encode/],
    [{ DATABASE_URL: 'postgres://h:0/db' }, /DATABASE_URL: must have ports from 1 to 65535/],
    [{ DATABASE_URL: 'postgres:///db?host=a,b&port=1,2,3' }, /DATABASE_URL: must have one port/],
    [{ DATABASE_URL: 'postgres://[fe80::1%25eth0]/db' }, /DATABASE_URL: must not name an IPv6 address with a zone/],
    [
      { DATABASE_URL: 'postgres://h/db?sslmode=on' },
      /DATABASE_URL: parameter sslmode must be disable, require, verify-/,
    ],
    ...['ssl_mode', 'sslMode', 'tls', 'requiressl', 'channel_binding', 'gssencmode', 'sslcrl'].map(
      (name) =>
        [{ DATABASE_URL: `postgres://h/db?${name}=x` }, new RegExp(`must not have the parameter ${name}, `)] as const,
    ),
    [{ DATABASE_URL: 'postgres://h/db?sslmode=prefer' }, /sslmode must be .*: with prefer a connection may be unencr/],
    [{ DATABASE_URL: 'postgres://h/db?ssl=on' }, /DATABASE_URL: parameter ssl must be true or false/],
    [{ DATABASE_URL: 'postgres://h/db?sslrootcert=/missing.pem' }, /URL: parameter sslrootcert must name .* ENOENT/],
    [{ DATABASE_URL: 'postgres://h/db?sslmode=verify-ca' }, /DATABASE_URL: parameter sslmode must be verify-full, or/],
    [{ DATABASE_URL: 'postgres://h/db?sslmode=disable&sslnegotiation=direct' }, /sslnegotiation must not be direct/],
    [
      { DATABASE_URL: 'postgres://h/db?sslmode=require&sslnegotiation=now' },
      /sslnegotiation must be postgres or direct/,
    ],
    [{ DATABASE_URL: 'postgres://h/db', DB_SSLMODE: 'verify-ca' }, /DB_SSLMODE: must be verify-full, or sslrootcert/],
    [{ DB_SSLMODE: 'allow' }, /DB_SSLMODE: must be disable, .*: with allow a connection may be unencrypted/],
    [{ DB_SSLMODE: 'require', DB_SSLROOTCERT: 'system' }, /DB_SSLMODE: must be verify-full with sslrootcert=system/],
    [
      { DB_SSLROOTCERT: '/missing.pem' },
      /DB_SSLROOTCERT: must name a usable file: .*missing\.pem cannot be read: ENOENT/,
    ],
    [{ DB_SSLCERT: CERTIFICATE }, /DB_SSLCERT: needs sslkey \(DB_SSLKEY\) as well/],
    [{ DB_SSLCERT: CERTIFICATE, DB_SSLKEY: CERTIFICATE }, /DB_SSLKEY: the file .* has no private key/],
    [{ DATABASE_URL: 'postgres://h/db?target_session_attrs=standby' }, /DATABASE_URL: must not have a target_/],
  ] as const) {
    it(`rejects an address of PostgreSQL in one line, by name and without its value: ${JSON.stringify(env)}`, () => {
      const message = refusal(env as Record<string, string>)
      expect(message)
        .to.match(reason)
        .and.not.to.match(/hunter2/)
      expect(message.split('\n')).to.have.length(2)
    })
  }

  // Promise 109
  it('address of PostgreSQL has the settings of TLS as parameters, unless DATABASE_URL has them', () => {
    const files = { DB_SSLROOTCERT: CERTIFICATE, DB_SSLCERT: CERTIFICATE, DB_SSLKEY: KEY }
    expect(splitTls(url({ DB_HOST: 'h', ...files })).tls).to.deep.equal({
      mode: 'verify-full',
      paths: { ca: CERTIFICATE, cert: CERTIFICATE, key: KEY },
      isDirect: false,
    })
    const DATABASE_URL = 'postgres://u:p@a,b/db?sslmode=require&x=y'
    expect(splitTls(url({ DATABASE_URL, DB_SSLMODE: 'verify-full' }))).to.deep.equal({
      url: 'postgres://u:p@a,b/db?x=y',
      tls: { mode: 'require', paths: { ca: undefined, cert: undefined, key: undefined }, isDirect: false },
    })
    expect(splitTls(url({ DATABASE_URL, ...files })).tls?.mode).to.equal('verify-ca')
    expect(splitTls(url({ DB_SSLMODE: 'disable', ...files })).tls?.mode).to.equal('disable')
    expect(splitTls(url({ DATABASE_URL: 'postgres://h/db' })).tls).to.equal(undefined)
  })

  it('address of PostgreSQL may have any character in the password', () => {
    const DB_PASSWORD = `%41@:/#?&=+ ,'"ß日😀\\;!()*[]{}|^~\`<>$`
    const [only] = hostUrls(url({ DB_HOST: 'h', DB_USER: 'me@server', DB_PASSWORD }))
    expect(decodeURIComponent(new URL(only).password)).to.equal(DB_PASSWORD)
    expect(decodeURIComponent(new URL(only).username)).to.equal('me@server')
  })
})
