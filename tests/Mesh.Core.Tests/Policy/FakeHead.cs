using Mesh.Traffic;

namespace Mesh.Core.Tests.Policy;

/// <summary>A request in words; a header may have several lines.</summary>
internal sealed class FakeHead(string method, string path, string host = "catalog", params (string Name, string[] Lines)[] headers) : RequestHead
{
    public override string Method => method;

    public override string Authority => host;

    public override string Path => path;

    public override string Query => string.Empty;

    public override string? Header(string name) => name switch
    {
        ":method" => method,
        ":path" => path,
        ":authority" or "host" => host,
        _ => Find(name) is { } lines ? lines.Length == 1 ? lines[0] : string.Join(',', lines) : null,
    };

    public override int Lines(string name) => name is [':', ..] or "host" ? 1 : Find(name)?.Length ?? 0;

    public override string Line(string name, int index) => name is [':', ..] or "host" ? Header(name)! : Find(name)![index];

    private string[]? Find(string name)
    {
        foreach (var (header, lines) in headers)
        {
            if (header == name)
            {
                return lines;
            }
        }

        return null;
    }
}
