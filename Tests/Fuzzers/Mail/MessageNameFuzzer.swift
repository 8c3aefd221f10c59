import Mail

@testable import Maildirs

/// Names of messages and of their files from any bytes: what is taken comes back from its text, a minted name is always
/// an identity, and the reader of bytes agrees with the reader of text.
func fuzzMessageName(_ input: UnsafeRawBufferPointer) {
    let text = String(decoding: input, as: UTF8.self)
    if let identity = MessageIdentity(text) {
        precondition(identity.text == text && (1...MessageIdentity.lengthMax).contains(text.utf8.count), "\(identity)")
        let file = MessageFileName(identity: identity, diskOctets: 1, wireOctets: 2)
        precondition(MessageFileName(fileName: file.text + ":2,S")?.identity == identity, "\(identity) is lost")
    }
    mint(input, origin: text)
    let inBytes = MessageNameBytes(input)
    guard let name = MessageFileName(fileName: text) else {
        // Swift's characters may hold more than one byte's meaning; of ASCII both readers have the same idea.
        precondition(!isASCII(input) || inBytes == nil, "\(text) is a name in bytes only")
        return
    }
    precondition(!name.stem.isEmpty && !name.text.hasPrefix("."), "\(name)")
    let again = MessageFileName(fileName: name.text)
    precondition(
        again?.stem == name.stem && again?.diskOctets == name.diskOctets && again?.wireOctets == name.wireOctets
            && again?.checksum == name.checksum && again?.digest == name.digest,
        "\(name) came back as \(String(describing: again))")
    guard isASCII(input) else { return }
    precondition(inBytes?.stemLength == name.stem.utf8.count, "the stem of \(text)")
    // Bytes are believed up to a bound, and then they are what the text says.
    if let octets = inBytes?.wireOctets { precondition(octets == name.wireOctets, "the octets of \(text)") }
    if let content = MessageNameBytes.content(of: input) {
        precondition(content.digest == name.digest, "the digest of \(text)")
    }
    pack(input, stemLength: name.stem.utf8.count)
}

private func isASCII(_ input: UnsafeRawBufferPointer) -> Bool { input.allSatisfy { $0 < 0x80 && $0 != 10 && $0 != 13 } }

private func pack(_ input: UnsafeRawBufferPointer, stemLength: Int) {
    var packed: [UInt8] = []
    let form = PackedName.append(input, stemLength: stemLength, to: &packed)
    let octets = MessageNameBytes.fields(in: input, from: stemLength)?.wireOctets ?? 0
    var name: [UInt8] = []
    PackedName.appendUnpacked(packed[...], stemLength: stemLength, form, wireOctets: octets, to: &name)
    precondition(name.elementsEqual(input), "\(form) came back as \(name)")
}

private func mint(_ input: UnsafeRawBufferPointer, origin: String) {
    guard input.count >= 32 else { return }
    let identity = MessageIdentity(
        seconds: input.loadUnaligned(as: Int64.self) & .max,
        micros: input.loadUnaligned(fromByteOffset: 8, as: Int32.self) & .max,
        process: input.loadUnaligned(fromByteOffset: 12, as: Int32.self) & .max,
        counter: input.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
        random: input.loadUnaligned(fromByteOffset: 24, as: UInt32.self), origin: origin)
    precondition(MessageIdentity(identity.text) == identity, "\(identity) was minted, and is no identity")
}
