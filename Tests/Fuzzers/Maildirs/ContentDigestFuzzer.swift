import Digests
import Mail

@testable import Maildirs

/// The content digest against a reference that has the whole file: the same however the file is cut into pieces.
func fuzzContentDigest(_ input: UnsafeRawBufferPointer) {
    guard let first = input.first else { return }
    let file = Array(input.dropFirst())
    let pieceMax = 1 + Int(first) % 32
    var scanner = ContentScanner()
    for start in stride(from: 0, to: file.count, by: pieceMax) {
        file[start..<min(file.count, start + pieceMax)].withUnsafeBytes { scanner.add($0) }
    }
    let digest = scanner.finish()
    precondition(digest == reference(file), "scanner and reference differ")
    if let digest { precondition(ContentDigest(digest.description.utf8) == digest, "\(digest) does not read back") }
}

private let blanks: [UInt8] = [0x20, 0x09]

private func reference(_ file: [UInt8]) -> ContentDigest? {
    var kept: [UInt8] = []
    var hasMessageID = false
    var isKept = true
    var rest = file[...]
    while !rest.isEmpty {
        let end = rest.firstIndex(of: 0x0A).map { $0 + 1 } ?? rest.endIndex
        let line = rest[..<end]
        if line.first == 0x0A {
            kept += rest
            break
        }
        if let first = line.first, !blanks.contains(first) {
            let name = fieldName(line)
            isKept = name != "received" && name != "delivered-to"
            if name == "message-id" { hasMessageID = true }
        }
        if isKept { kept += line }
        rest = rest[end...]
    }
    guard hasMessageID else { return nil }
    let hash = SHA256.hash(kept)
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    return ContentDigest(high: number(hash[..<8]), low: number(hash[8..<16]))
}

/// Nil for a line that is no field, or has more before its colon than any field that matters.
private func fieldName(_ line: ArraySlice<UInt8>) -> String? {
    guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon - line.startIndex <= 48 else { return nil }
    let name = line[..<colon].filter { !blanks.contains($0) }.map { $0 | 0x20 }
    return String(validating: name, as: UTF8.self)
}
