using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

internal sealed partial class AskedNames
{
    private static partial class Log
    {
        [LoggerMessage(2110, LogLevel.Warning, "{Max} host names are in use that may be services: '{Name}' and other new ones are called without asking the control plane, as hosts outside the mesh. Opt clients that call many hosts out with DisableMesh()", EventName = nameof(TooManyNames))]
        public static partial void TooManyNames(ILogger logger, int max, string name);
    }
}
