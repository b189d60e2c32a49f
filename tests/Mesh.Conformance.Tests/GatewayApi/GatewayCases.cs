using System.Runtime.CompilerServices;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using YamlDotNet.Serialization.NamingConventions;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>The table: a folder for each case beside this file, and <c>base.yaml</c> with what all of them use.</summary>
internal static class GatewayCases
{
    private static readonly string _folder = Path.GetDirectoryName(Here())!;

    public static IReadOnlyList<GatewayCase> All { get; } = [.. Directory.GetDirectories(_folder).Order(StringComparer.Ordinal).Select(Read)];

    public static string Base { get; } = File.ReadAllText(Path.Combine(_folder, "base.yaml"));

    public static string Docs { get; } = File.ReadAllText(Path.Combine(_folder, "../../../docs/gateway-api.md"));

    public static GatewayCase Find(string name) => All.Single(c => c.Name == name);

    public static string Manifest(string name) => File.ReadAllText(Path.Combine(_folder, name, "manifest.yaml"));

    private static GatewayCase Read(string folder)
    {
        var file = Path.Combine(folder, "case.yaml");
        try
        {
            var read = new DeserializerBuilder().WithNamingConvention(CamelCaseNamingConvention.Instance).WithDuplicateKeyChecking().Build().Deserialize<GatewayCase>(File.ReadAllText(file));
            read.Name = Path.GetFileName(folder);
            return read;
        }
        catch (YamlException e)
        {
            throw new InvalidDataException($"{file}: {e.InnerException?.Message ?? e.Message} ({e.Start})", e);
        }
    }

    private static string Here([CallerFilePath] string here = "") => here;
}
