/**
 * The only place that loads the decoder. In Node the package is CommonJS and loads its own WebAssembly; a browser
 * build replaces the package by a flavour with the same exports (see the build's alias).
 */
export {
  Code,
  ConditionCode,
  Decoder,
  DecoderOptions,
  FlowControl,
  Formatter,
  FormatterSyntax,
  Instruction as IcedInstruction,
  type MemorySize,
  MemorySizeExt,
  MemorySizeOptions,
  Mnemonic,
  OpKind,
  Register,
  RflagsBits,
} from 'iced-x86';
