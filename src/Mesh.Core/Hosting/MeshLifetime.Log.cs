using Microsoft.Extensions.Logging;

namespace Mesh.Hosting;

internal sealed partial class MeshLifetime
{
    private static partial class Log
    {
        [LoggerMessage(3100, LogLevel.Information, "The mesh is off. Set Mesh:ControlPlane, Mesh:TrustBundle and Mesh:Token or Mesh:TokenFile (environment Mesh__ControlPlane and so on) to turn it on", EventName = nameof(MeshIsOff))]
        public static partial void MeshIsOff(ILogger logger);

        [LoggerMessage(3101, LogLevel.Information, "The mesh is on: '{NodeId}' follows the control plane ({ControlPlane})", EventName = nameof(MeshIsOn))]
        public static partial void MeshIsOn(ILogger logger, string nodeId, string controlPlane);
    }
}
