import DurableFiles

/// A file that holds a secret: its first line counts.
enum SecretFile {
    private static let bytesMax = 4_096

    /// - Parameter key: the configuration's key that names the file.
    static func firstLine(of path: String, for key: String) throws -> String {
        let bytes: [UInt8]?
        do throws(DurableFileError) {
            bytes = try DurableFile.read(path, bytesMax: bytesMax)
        } catch {
            throw CommandFailure("\(error) (\(key))")
        }
        guard let bytes else { throw CommandFailure("\(path): there is no such file (\(key))") }
        return String(decoding: bytes.prefix { $0 != 0x0A && $0 != 0x0D }, as: UTF8.self)
    }
}
