export { rulesFile } from './rules-file.ts'
