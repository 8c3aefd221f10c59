import Yams

/// A part of the configuration: a mapping with known keys. The same list reads it, prints the table of keys, and finds
/// what two configurations differ in, so that none of these can disagree.
protocol ConfigurationSection {
    static var defaults: Self { get }
    static var keys: [SectionKey<Self>] { get }
    /// How an element of a list of these is called in paths, if it has a name.
    var listName: String? { get }
}

extension ConfigurationSection {
    var listName: String? { nil }
}

/// One key of a section: what reads it, describes it and writes it.
struct SectionKey<Section> {
    let name: String
    let isRequired: Bool
    let read: (inout Section, Node, inout ConfigurationReader) -> Void
    let describe: (Section, String) -> [ConfigurationKey]
    let write: (Section, String) -> [ConfigurationValue]
    /// Copies what a running process can take from the first to the second.
    let takeLive: (Section, inout Section) -> Void
}

/// One value of a whole configuration, as text: `nodes[store-1].weight` is `2`.
struct ConfigurationValue: Equatable {
    let path: String
    let text: String
    let isLive: Bool
    /// Whether it may come and go without a restart, with the list's element that it belongs to.
    var comesAndGoes = false
}

extension SectionKey {
    /// A scalar. `isLive`: a running process takes a new value without a restart.
    static func value<Value>(
        _ name: String, _ place: WritableKeyPath<Section, Value>, _ kind: ConfigurationKind<Value>, _ meaning: String,
        required: Bool = false, isLive: Bool = false
    ) -> SectionKey {
        SectionKey(
            name: name, isRequired: required,
            read: { section, node, reader in
                if let value = reader.scalar(node, kind) { section[keyPath: place] = value }
            },
            describe: { section, path in
                let fallback = required ? "required" : kind.print(section[keyPath: place])
                return [
                    ConfigurationKey(
                        path: path, type: kind.type, defaultValue: fallback, meaning: meaning, isLive: isLive)
                ]
            },
            write: { section, path in
                [ConfigurationValue(path: path, text: kind.print(section[keyPath: place]), isLive: isLive)]
            },
            takeLive: { new, old in if isLive { old[keyPath: place] = new[keyPath: place] } })
    }

    /// A scalar that may be left out. A running process takes another value for one that is there, and no more.
    static func replaceable<Value>(
        _ name: String, _ place: WritableKeyPath<Section, Value?>, _ kind: ConfigurationKind<Value?>, _ meaning: String
    ) -> SectionKey {
        let plain = value(name, place, kind, meaning, isLive: true)
        return SectionKey(
            name: name, isRequired: false, read: plain.read, describe: plain.describe,
            write: { section, path in
                let value = section[keyPath: place]
                return [ConfigurationValue(path: path, text: kind.print(value), isLive: value != nil)]
            },
            takeLive: { new, old in
                if new[keyPath: place] != nil, old[keyPath: place] != nil { plain.takeLive(new, &old) }
            })
    }

    /// A list of scalars.
    static func list<Value>(
        _ name: String, _ place: WritableKeyPath<Section, [Value]>, _ kind: ConfigurationKind<Value>, _ meaning: String,
        isLive: Bool = false
    ) -> SectionKey {
        let print = { (values: [Value]) in "[" + values.map(kind.print).joined(separator: ", ") + "]" }
        return SectionKey(
            name: name, isRequired: false,
            read: { section, node, reader in
                section[keyPath: place] = reader.elements(node).compactMap { path, element in
                    reader.at(path, element) { $0.scalar(element, kind) }
                }
            },
            describe: { section, path in
                [
                    ConfigurationKey(
                        path: path, type: "list of \(kind.type)", defaultValue: print(section[keyPath: place]),
                        meaning: meaning, isLive: isLive)
                ]
            },
            write: { section, path in
                [ConfigurationValue(path: path, text: print(section[keyPath: place]), isLive: isLive)]
            },
            takeLive: { new, old in if isLive { old[keyPath: place] = new[keyPath: place] } })
    }

    /// A mapping inside of this one.
    static func section<Inner: ConfigurationSection>(
        _ name: String, _ place: WritableKeyPath<Section, Inner>
    ) -> SectionKey {
        SectionKey(
            name: name, isRequired: false,
            read: { section, node, reader in reader.section(node, into: &section[keyPath: place]) },
            describe: { section, path in
                Inner.keys.flatMap { $0.describe(section[keyPath: place], "\(path).\($0.name)") }
            },
            write: { section, path in
                Inner.keys.flatMap { $0.write(section[keyPath: place], "\(path).\($0.name)") }
            },
            takeLive: { new, old in
                for key in Inner.keys { key.takeLive(new[keyPath: place], &old[keyPath: place]) }
            })
    }

    /// A list of mappings. `comeAndGo`: a running process takes new ones, and lets go of those that are no more.
    static func sections<Inner: ConfigurationSection>(
        _ name: String, _ place: WritableKeyPath<Section, [Inner]>, comeAndGo: Bool = false
    ) -> SectionKey {
        SectionKey(
            name: name, isRequired: false,
            read: { section, node, reader in
                section[keyPath: place] = reader.elements(node).map { path, element in
                    var inner = Inner.defaults
                    reader.element(path, element) { $0.section(element, into: &inner) }
                    return inner
                }
            },
            describe: { _, path in
                Inner.keys.flatMap { $0.describe(Inner.defaults, "\(path)[].\($0.name)") }
            },
            write: { section, path in
                section[keyPath: place].enumerated().flatMap { index, inner in
                    Inner.keys.flatMap { $0.write(inner, "\(path)[\(inner.listName ?? "\(index)")].\($0.name)") }
                }.map { value in
                    var value = value
                    value.comesAndGoes = comeAndGo
                    return value
                }
            },
            takeLive: { new, old in
                if comeAndGo {
                    let known = old[keyPath: place]
                    old[keyPath: place] = new[keyPath: place].map { inner in
                        known.first { $0.listName == inner.listName } ?? inner
                    }
                }
                for index in old[keyPath: place].indices {
                    guard let name = old[keyPath: place][index].listName,
                        let match = new[keyPath: place].first(where: { $0.listName == name })
                    else { continue }
                    for key in Inner.keys { key.takeLive(match, &old[keyPath: place][index]) }
                }
            })
    }
}
