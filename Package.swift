// swift-tools-version: 6.2
import PackageDescription

// The dependency lists below are the architecture: a module imports lower layers only, never a sibling.
// Layers, from the bottom: values, decisions (pure), resources, hops, roles, program.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

func module(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(name: name, dependencies: dependencies, swiftSettings: settings)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: settings)
}

let nioCore = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1 = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioTLS = Target.Dependency.product(name: "NIOTLS", package: "swift-nio")
let nioSSL = Target.Dependency.product(name: "NIOSSL", package: "swift-nio-ssl")
let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let asyncHTTPClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let coreMetrics = Target.Dependency.product(name: "CoreMetrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")

let package = Package(
    name: "hauberk",
    products: [.executable(name: "hauberk", targets: ["hauberk"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // values
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCrypt", providers: [.apt(["libcrypt-dev"])]),
        .systemLibrary(name: "CSpawn"),
        .systemLibrary(name: "CLinux"),
        module("Mail"),
        module("Digests", ["CCrypto"]),
        module("DurableFiles"),
        module("FileTimes"),
        // decisions
        module("SASL", ["Mail", "Digests"]),
        module("SMTP", ["Mail", "SASL"]),
        module("POP3", ["Mail", "SASL"]),
        module("Bounces", ["Mail", "SMTP"]),
        module("QMTP", ["Mail"]),
        module("Cluster", ["Mail"]),
        // resources
        module("Certificates", ["CCrypto", "DurableFiles"]),
        module("Telemetry", ["Mail", coreMetrics, logging]),
        module("Maildirs", ["Mail", "Digests", "FileTimes", "Cluster", "CLinux"]),
        module("Directory", ["Mail", "Digests", "FileTimes", "SASL", "CCrypt", grdb]),
        module("Membership", ["Mail", "SASL", "SMTP", "POP3", "Cluster", yams]),
        module("Etcd", ["Cluster", "DurableFiles", asyncHTTPClient, nioCore, nioHTTP1, nioSSL, logging]),
        module("Wire", ["Mail", collections, nioCore, nioPosix, nioSSL, nioTLS, nioHTTP1]),
        // hops
        module("Hops", ["Mail", "SMTP", "POP3", "Cluster", "Wire", collections, logging, nioCore]),
        // roles
        module(
            "Frontend",
            [
                "Mail", "SASL", "SMTP", "QMTP", "POP3", "Cluster", "Directory", "Membership", "Telemetry", "Wire",
                "Hops",
                logging, metrics, coreMetrics, nioCore, lifecycle,
            ]),
        module(
            "Storage",
            [
                "Mail", "SASL", "SMTP", "POP3", "QMTP", "Bounces", "Cluster", "Maildirs", "Membership", "Telemetry",
                "Wire",
                "Hops", logging, metrics, coreMetrics, nioCore, lifecycle,
            ]),
        module("Serialmail", ["Mail", "Digests", "CSpawn", "SASL", "SMTP", "QMTP", "POP3", "Bounces", "Maildirs"]),
        module("Load", ["Mail", "SMTP", "POP3", "Wire", nioCore, nioPosix]),
        // program
        .executableTarget(
            name: "hauberk",
            dependencies: [
                "Mail", "SASL", "SMTP", "POP3", "Cluster", "Certificates", "Telemetry", "Maildirs", "Directory",
                "Membership", "Etcd", "DurableFiles", "Wire", "Hops", "Frontend", "Storage", "Serialmail", "Load",
                nioCore, nioPosix, unixSignals, argumentParser, logging, metrics, coreMetrics, lifecycle,
            ],
            swiftSettings: settings),
        // tests
        .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: settings),
        tests("MailTests", ["Mail"]),
        tests("DigestsTests", ["Digests"]),
        tests("SASLTests", ["SASL", "Digests", "Mail"]),
        tests("SMTPTests", ["SMTP", "SASL", "Mail"]),
        tests("POP3Tests", ["POP3", "SASL", "Mail", "SeededRandom"]),
        tests("BouncesTests", ["Bounces", "Mail"]),
        tests("QMTPTests", ["QMTP", "Mail"]),
        tests("ClusterTests", ["Cluster", "Mail", "SeededRandom"]),
        tests("CertificatesTests", ["Certificates", "DurableFiles", nioSSL]),
        tests("TelemetryTests", ["Telemetry", metrics, coreMetrics, logging]),
        tests("MaildirsTests", ["Maildirs", "FileTimes", "Cluster", "Mail", "SeededRandom"]),
        tests("SerialmailTests", ["Serialmail", "Maildirs", "QMTP", "Mail"]),
        tests("DirectoryTests", ["Directory", "Mail", "SASL", "Digests"]),
        tests("MembershipTests", ["Membership", "Cluster", "SMTP", "POP3", "Mail"]),
        tests("EtcdTests", ["Etcd", "Certificates", nioCore, nioPosix, logging]),
        tests("LoadTests", ["Load", "POP3", nioCore, nioEmbedded]),
        tests("WireTests", ["Wire", "SeededRandom", nioCore]),
        tests("HopsTests", ["Hops", "Wire", "Mail", "POP3", "SMTP", "SeededRandom", collections, nioCore, nioPosix]),
        tests(
            "ConformanceTests", ["SMTP", "POP3", "SASL", "Digests", "Mail"],
            resources: [.copy("SMTP"), .copy("POP3")]),
        // The engine is a package of its own too, which scripts/simulate builds; here it is fast even in a debug build.
        .target(
            name: "Simulation", dependencies: ["Mail", "Cluster"], path: "Tests/Simulation/Engine",
            swiftSettings: settings + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
        tests("SimulationTests", ["Simulation"]),
        tests("SystemTests", ["Mail"]),
    ],
    swiftLanguageModes: [.v6]
)
