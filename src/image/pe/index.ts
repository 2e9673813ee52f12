export { imageChecksum } from './checksum.ts';
export { layOutImage } from './lay-out-image.ts';
export { parsePe } from './parse-pe.ts';
export {
  type CodeViewRecord,
  type PeBaseRelocations,
  type PeDebugEntry,
  type PeExport,
  type PeImage,
  type PeImport,
  type PeImportedModule,
  type PeLoadConfig,
  type PeSection,
  type RuntimeFunction,
  sectionAt,
} from './pe-image.ts';
