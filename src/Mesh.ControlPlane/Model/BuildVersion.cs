using System.Reflection;

namespace Mesh.ControlPlane.Model;

/// <summary>The version of this control plane.</summary>
internal static class BuildVersion
{
    public static readonly string Text =
        typeof(BuildVersion).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";
}
