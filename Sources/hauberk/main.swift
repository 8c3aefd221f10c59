import GRDB
import Yams
import ServiceLifecycle
import NIOSSL
import NIOHTTP1
