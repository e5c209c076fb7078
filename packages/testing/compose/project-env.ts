import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { freePorts } from '@cashflow/dev-stack'
import { REPOSITORY } from '../src/repository.ts'

export type Command = readonly [program: string, ...args: string[]]

/** The environment of Compose and of the tests: a project name, which names images and volumes too, and free ports. */
export async function projectEnv(compose: Command): Promise<NodeJS.ProcessEnv> {
  const [api, postgres, rabbitmq, management] = await freePorts(4)
  return {
    // Makes Compose 1.29 build as newer versions do.
    COMPOSE_DOCKER_CLI_BUILD: '1',
    DOCKER_BUILDKIT: '1',
    ...process.env,
    COMPOSE_COMMAND: JSON.stringify(compose),
    COMPOSE_FILE: 'docker-compose.yml',
    COMPOSE_PROJECT_NAME: `cashflow-test-${randomBytes(4).toString('hex')}`,
    API_PORT: `${api}`,
    POSTGRES_PORT: `${postgres}`,
    RABBITMQ_PORT: `${rabbitmq}`,
    RABBITMQ_MANAGEMENT_PORT: `${management}`,
    LOG_LEVEL: 'info',
    MQ_QUEUE: 'payments',
    MQ_EXCHANGE: '',
    PROVIDER_DELAY_MS: '500',
    PROVIDER_SUCCESS_RATE: '0.7',
    WORKER_PREFETCH: '20',
    // Any certificate that Node does not trust by itself.
    NODE_EXTRA_CA_CERTS: join(REPOSITORY, 'services/worker/test/certificate/certificate.pem'),
    SECRETS_DIR: join(import.meta.dirname, 'secrets'),
    KEY_PEPPER_FILE: '/run/secrets/key_pepper',
    PROVIDER_TOKEN_FILE: '/run/secrets/provider_token',
    // Settings that an .env has for processes of the host. In a container each of them would be wrong.
    APP_ENV: 'development',
    DB_HOST: 'localhost',
    MQ_HOST: 'localhost',
  }
}
