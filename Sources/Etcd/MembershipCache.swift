import DurableFiles

/// The last membership that a process knew, in a file of its own: it starts from this when etcd is down.
///
/// The file has one state: it is written beside, synced and renamed, so that a crash leaves the old text or the new one.
package struct MembershipCache: Sendable {
    package let path: String

    package init(path: String) {
        self.path = path
    }

    /// The text; nil if there is none.
    package func load() throws(MembershipCacheError) -> String? {
        let bytes: [UInt8]?
        do throws(DurableFileError) {
            bytes = try DurableFile.read(path, bytesMax: EtcdMembership.textBytesMax)
        } catch {
            throw MembershipCacheError(description: "\(error)")
        }
        guard let bytes else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw MembershipCacheError(description: "\(path): it is not UTF-8")
        }
        return text
    }

    /// Keeps the text, durably.
    package func store(_ text: String) throws(MembershipCacheError) {
        do throws(DurableFileError) {
            try DurableFile.write(text, to: path, mode: 0o644, replacing: true)
        } catch {
            throw MembershipCacheError(description: "\(error)")
        }
    }
}

/// Why the cache was not read or written.
package struct MembershipCacheError: Error, Sendable, Equatable, CustomStringConvertible {
    package let description: String
}
