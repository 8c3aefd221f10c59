import Glibc

/// The file in a store's root that says whose store it is, so that an unmounted export never becomes an empty store.
struct StoreMarker: Hashable, Sendable {
    static let fileName = "hauberk-store"

    private static let heading = "hauberk store 1"
    private static let bytesMax = 4096

    let cluster: String
    let node: String
    let partitions: Int

    init(cluster: String, node: String, partitions: Int) throws(MaildirError) {
        for name in [cluster, node] where name.isEmpty || name.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) {
            throw .badName(name)
        }
        self.cluster = cluster
        self.node = node
        self.partitions = partitions
    }

    var text: String {
        "\(Self.heading)\ncluster: \(cluster)\nnode: \(node)\npartitions: \(partitions)\n"
    }

    var summary: String { "cluster \"\(cluster)\", node \"\(node)\", \(partitions) partitions" }

    /// Fails unless the marker in `directory` says the same.
    func check(in directory: OpenFile, root: String) throws(MaildirError) {
        let found: String
        do throws(MaildirError) {
            found = try Self.read(in: directory)
        } catch {
            if error.errorNumber == ENOENT { throw .noMarker(root: root) }
            throw error
        }
        guard found == text else { throw .wrongMarker(root: root, found: Self.summary(of: found), expected: summary) }
    }

    /// Writes the marker durably. Whoever comes second finds the first one's.
    func write(in directory: OpenFile) throws(MaildirError) {
        let temporary = "\(StoreLeftovers.marker)\(getpid()).\(UInt64.random(in: .min ... .max))"
        let file = try OpenFile.open(
            temporary, in: directory.descriptor, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        defer { unlinkat(directory.descriptor, temporary, 0) }
        try file.write(Array(text.utf8), name: temporary)
        try file.sync(temporary)
        _ = try ExclusiveLink.make(file, at: temporary, in: directory, as: Self.fileName, in: directory)
        try directory.sync(Self.fileName)
    }

    private static func read(in directory: OpenFile) throws(MaildirError) -> String {
        let file = try OpenFile.open(fileName, in: directory.descriptor)
        return String(decoding: try file.contents(bytesMax: bytesMax, name: fileName), as: UTF8.self)
    }

    /// A foreign marker in one line, for the error message.
    private static func summary(of text: String) -> String {
        let lines = text.split(separator: "\n")
        guard lines.first == Substring(heading), lines.count == 4 else {
            return "something else (its marker file is not ours)"
        }
        let values = lines.dropFirst().map { $0.drop { $0 != ":" }.dropFirst(2) }
        return "cluster \"\(values[0])\", node \"\(values[1])\", \(values[2]) partitions"
    }
}
