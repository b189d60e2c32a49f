using System.CommandLine;
using System.Globalization;
using Mesh.Tap;

namespace Mesh.Cli.Commands;

/// <summary>Whose requests <c>mesh tap</c> and <c>mesh top</c> are about.</summary>
internal sealed class TapOptions
{
    private readonly Argument<string?> _resource = new("resource") { Description = "A workload (cart, deploy/cart), a service (svc/pricing) or a namespace (ns/shop); none is all", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string?> _to = new("--to") { Description = "Only calls to this service" };
    private readonly Option<string?> _toNamespace = new("--to-namespace") { Description = "Only calls into this namespace" };
    private readonly Option<string?> _from = new("--from") { Description = "Only calls of this workload; 'unmeshed' is who has no identity" };
    private readonly Option<string?> _fromNamespace = new("--from-namespace") { Description = "Only calls out of this namespace" };
    private readonly Option<string?> _namespace = new("--namespace", "-n") { Description = "Of the resource; without one, only what touches this namespace" };
    private readonly Option<bool> _all = new("--all-namespaces", "-A") { Description = "All namespaces, which is what is shown without -n" };
    private readonly Option<string?> _labels = CommonOptions.Selector("Only what workloads with these labels call and serve, such as app=cart,tier!=test");
    private readonly Option<string?> _method = new("--method") { Description = "Only this method" };
    private readonly Option<string?> _path = new("--path") { Description = "Only this path; /prices/* is what begins so" };
    private readonly Option<string?> _status = new("--status") { Description = "Only 503, 5xx, failed, or grpc:14" };
    private readonly Option<TimeSpan> _min = CommonOptions.Time("--min", TimeSpan.Zero, "Only what took at least so long, such as 100ms");
    private readonly Option<double?> _maxRps = new("--max-rps") { Description = "At most so many per second, of all workloads together" };

    public TapOptions()
    {
        _resource.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>()?.StartsWith('-') == true)
            {
                result.AddError($"Unrecognized option '{result.GetValueOrDefault<string?>()}'.");
            }
        });
        RefusedOption.Times(_from);
        RefusedOption.Times(_to);
        _status.Validators.Add(result =>
        {
            if (!TapStatus.TryParse(result.GetValueOrDefault<string?>(), out _))
            {
                result.AddError($"--status is '{result.GetValueOrDefault<string?>()}'. Give {TapStatus.Rule}.");
            }
        });
    }

    public void AddTo(Command command)
    {
        command.Arguments.Add(_resource);
        foreach (var option in new Option[] { _to, _toNamespace, _from, _fromNamespace, _namespace, _all, _labels, _method, _path, _status, _min, _maxRps })
        {
            command.Options.Add(option);
        }

        RefusedOption.AddTo(command, (["--watch", "-w"], "it watches already, until --for is over or Ctrl-C."));
    }

    /// <param name="length">Null: until it is interrupted.</param>
    public string Path(ParseResult result, string what, string? headers, TimeSpan? length)
    {
        var (to, from, ns) = (Name(result.GetValue(_to)), Name(result.GetValue(_from)), result.GetValue(_all) ? null : result.GetValue(_namespace));
        var (toNamespace, fromNamespace, workload) = (result.GetValue(_toNamespace), result.GetValue(_fromNamespace), (string?)null);
        switch (result.GetValue(_resource) is { } resource ? (Kind(resource), Name(resource)) : (null, null))
        {
            case ("ns" or "namespace" or "namespaces", { } named):
                ns = named;
                break;
            case ("svc" or "service" or "services", { } named):
                (to, toNamespace, ns) = (named, ns, null);
                break;
            case (_, { } named) when to is not null || toNamespace is not null:
                (from, fromNamespace, ns) = (named, ns, null);
                break;
            case (_, { } named) when from is not null || fromNamespace is not null:
                (to, toNamespace, ns) = (named, ns, null);
                break;
            case (_, { } named):
                workload = named;
                break;
        }

        (string Key, string? Value)[] query =
        [
            ("namespace", ns), ("workload", workload), ("source", from), ("source_namespace", fromNamespace), ("destination", to), ("destination_namespace", toNamespace),
            ("labels", result.GetValue(_labels)), ("method", result.GetValue(_method)), ("path", result.GetValue(_path)), ("status", result.GetValue(_status)), ("min_ms", Number(result.GetValue(_min).TotalMilliseconds)),
            ("max_rps", result.GetValue(_maxRps) is { } rate ? Number(rate) : null), ("headers", headers), ("for_s", length is { } time ? Number(time.TotalSeconds) : null),
        ];
        var asked = string.Join('&', query.Where(q => !string.IsNullOrEmpty(q.Value)).Select(q => $"{q.Key}={Uri.EscapeDataString(q.Value!)}"));
        return $"api/v1/{what}{(asked.Length > 0 ? "?" : string.Empty)}{asked}";
    }

    private static string? Kind(string resource) => resource.Contains('/', StringComparison.Ordinal) ? resource[..resource.IndexOf('/', StringComparison.Ordinal)] : null;

    private static string? Name(string? resource) => resource?[(resource.LastIndexOf('/') + 1)..];

    private static string? Number(double number) => number == 0 ? null : number.ToString(CultureInfo.InvariantCulture);
}
