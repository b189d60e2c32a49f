using System.Diagnostics;
using System.Net.Http.Headers;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>The trace context in a request's headers: written anew for each attempt, taken out again with the call. What the app wrote itself stays.</summary>
/// <param name="format">How the trace came: it goes on in that form, beside W3C's.</param>
internal sealed class TraceHeaders(TraceFormat format = TraceFormat.W3C)
{
    /// <summary>What every receiver takes: W3C Trace Context §3.3.1, W3C Baggage §3.3.2.</summary>
    private const int MaxStateLength = 512;
    private const int MaxStateMembers = 32;
    private const int MaxBaggageLength = 8192;
    private const int MaxBaggageMembers = 64;

    // traceparent, tracestate, baggage; other propagators write more. Ours only: a name that the app had set is not among them.
    private readonly string?[] _ours = new string?[format == TraceFormat.W3C ? 4 : 8];
    private string? _given;

    /// <summary>What was injected first: the call's own span, or the app's.</summary>
    public Activity? Context { get; private set; }

    public void Inject(Activity context, HttpRequestHeaders headers)
    {
        Context ??= context;
        DistributedContextPropagator.Current.Inject(context, (This: this, headers), static (carrier, name, value) =>
        {
            var (trace, headers) = ((TraceHeaders, HttpRequestHeaders))carrier!;
            trace.Set(headers, name, value);
        });
        if (format == TraceFormat.B3Single)
        {
            Set(headers, TraceContext.B3, $"{context.TraceId.ToHexString()}-{context.SpanId.ToHexString()}-{(context.Recorded ? '1' : '0')}");
        }
        else if (format == TraceFormat.GrpcBinary)
        {
            Set(headers, TraceContext.GrpcTraceBin, TraceContext.ToBinary(context.TraceId, context.SpanId, context.Recorded));
        }
        else if (format == TraceFormat.B3Multi)
        {
            Set(headers, TraceContext.B3TraceId, context.TraceId.ToHexString());
            Set(headers, TraceContext.B3SpanId, context.SpanId.ToHexString());
            Set(headers, TraceContext.B3ParentSpanId, context.ParentSpanId.ToHexString());
            Set(headers, TraceContext.B3Sampled, context.Recorded ? "1" : "0");
        }
    }

    /// <summary>Takes out what a request that is given on says of its trace, but for baggage: another span comes in its place.</summary>
    public static void RemoveContext(HttpRequestHeaders headers)
    {
        foreach (var name in TraceContext.Names)
        {
            headers.Remove(name);
        }
    }

    /// <summary>The caller finds the request as it wrote it, and may send it again under another span.</summary>
    public void Remove(HttpRequestHeaders headers)
    {
        foreach (var name in _ours)
        {
            if (name is not null)
            {
                headers.Remove(name);
            }
        }

        if (_given is not null)
        {
            headers.TryAddWithoutValidation(TraceContext.TraceParent, _given);
        }
    }

    private void Set(HttpRequestHeaders headers, string name, string value)
    {
        var slot = Array.IndexOf(_ours, name);
        if (slot >= 0)
        {
            headers.Remove(name);
        }
        else if (headers.NonValidated.TryGetValues(name, out var given))
        {
            if (name != TraceContext.TraceParent || given.ToString() != value)
            {
                return;
            }

            // What we would have written: an instrumentation above did. An attempt's goes in its place meanwhile.
            _given = value;
            _ours[Array.IndexOf(_ours, null)] = name;
            return;
        }
        else if (Array.IndexOf(_ours, null) is >= 0 and var free)
        {
            _ours[free] = name;
        }

        if (Shorten(name, value) is { Length: > 0 } shortened)
        {
            headers.TryAddWithoutValidation(name, shortened);
        }
    }

    /// <summary>Leaves out the members of a list that are too many, whole: half a member would say something else. What came in must not grow without end on its way through services.</summary>
    private static string Shorten(string name, string value) => name switch
    {
        "tracestate" => Shorten(value, MaxStateLength, MaxStateMembers),
        "baggage" or "Correlation-Context" => Shorten(value, MaxBaggageLength, MaxBaggageMembers),
        _ => value,
    };

    internal static string Shorten(string list, int maxLength, int maxMembers)
    {
        if (list.Length <= maxLength && list.AsSpan().Count(',') < maxMembers)
        {
            return list;
        }

        var kept = new System.Text.StringBuilder(Math.Min(list.Length, maxLength));
        var members = 0;
        foreach (var range in list.AsSpan().Split(','))
        {
            var member = list.AsSpan(range).Trim();
            if (member.Length > 0 && members < maxMembers && kept.Length + member.Length + (members > 0 ? 1 : 0) <= maxLength)
            {
                _ = members++ > 0 ? kept.Append(',').Append(member) : kept.Append(member);
            }
        }

        return kept.ToString();
    }
}
