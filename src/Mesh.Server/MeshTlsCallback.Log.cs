using Microsoft.Extensions.Logging;

namespace Mesh.Server;

internal sealed partial class MeshTlsCallback
{
    private static partial class Log
    {
        [LoggerMessage(3410, LogLevel.Warning, "A mesh connection was closed: this workload has no certificate yet ({Problem})", EventName = nameof(NoIdentityYet))]
        public static partial void NoIdentityYet(ILogger logger, string problem);

        [LoggerMessage(3411, LogLevel.Warning, "A mesh connection was refused: {Problem}", EventName = nameof(PeerRefused))]
        public static partial void PeerRefused(ILogger logger, string problem);
    }
}
