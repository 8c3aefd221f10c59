import Glibc

// libFuzzer's driver, given by the linker: `scripts/fuzz` names the archive.
@_silgen_name("LLVMFuzzerRunDriver")
func runFuzzer(
    _ argumentCount: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

/// All fuzzers by their names, which the environment's HAUBERK_FUZZER chooses from.
let fuzzers: [(name: String, run: @Sendable (UnsafeRawBufferPointer) -> Void)] = [
    ("smtp-server", fuzzSMTPServerSession),
    ("smtp-client", fuzzSMTPClientSession),
    ("smtp-body", fuzzBodyDecoder),
    ("smtp-path", fuzzSMTPPath),
    ("smtp-header", fuzzHeaderScanner),
    ("pop3-server", fuzzPOP3ServerSession),
    ("pop3-client", fuzzPOP3ClientSession),
    ("pop3-message", fuzzPOP3MessageEncoder),
    ("bounce-message", fuzzBounceMessage),
    ("netstring", fuzzNetstring),
    ("qmtp-server", fuzzQMTPServerSession),
    ("qmqp-server", fuzzQMQPServerSession),
    ("qmtp-client", fuzzQMTPClientSession),
    ("smtp-batch", fuzzBatchParser),
    ("smtp-dialogue", fuzzDialogueReply),
    ("uucp-envelope", fuzzUUCPEnvelope),
    ("wire-address", fuzzWireAddress),
    ("spool-envelope", fuzzSpoolEnvelope),
    ("proxy-protocol", fuzzProxyProtocol),
    ("stream-frames", fuzzStreamDecoder),
    ("base64", fuzzBase64),
    ("sasl-server", fuzzSASLServerExchange),
    ("sasl-client", fuzzSASLClientExchange),
    ("scram-dialogue", fuzzSCRAMDialogue),
    ("email-address", fuzzEmailAddress),
    ("mailbox-name", fuzzMailboxName),
    ("message-name", fuzzMessageName),
    ("site-path", fuzzSitePath),
    ("endpoint", fuzzEndpoint),
    ("line-ends", fuzzLineEnds),
    ("content-digest", fuzzContentDigest),
    ("address-range", fuzzAddressRange),
    ("quantities", fuzzQuantities),
    ("ring-history", fuzzRingHistory),
    ("site-question", fuzzSiteQuestion),
    ("etcd-answers", fuzzEtcdAnswers),
]

let wanted = getenv("HAUBERK_FUZZER").map { String(cString: $0) } ?? ""
guard let chosen = fuzzers.first(where: { $0.name == wanted }) else {
    print(fuzzers.map(\.name).joined(separator: "\n"))
    exit(wanted.isEmpty ? 0 : 2)
}
let run = chosen.run

var argumentCount = CommandLine.argc
var arguments = CommandLine.unsafeArgv
exit(
    runFuzzer(&argumentCount, &arguments) { bytes, count in
        run(UnsafeRawBufferPointer(start: bytes, count: count))
        return 0
    })
