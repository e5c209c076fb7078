export { apiEnv } from './config.ts'
