using System.Diagnostics;
using System.Net.Http.Headers;

namespace Mesh.Outbound;

/// <summary>The trace context in a request's headers: written anew for each attempt, taken out again with the call. What the app wrote itself stays.</summary>
internal sealed class TraceHeaders
{
    // traceparent, tracestate, baggage; other propagators write more. Ours only: a name that the app had set is not among them.
    private readonly string?[] _ours = new string?[4];

    public void Inject(Activity context, HttpRequestHeaders headers) =>
        DistributedContextPropagator.Current.Inject(context, (This: this, headers), static (carrier, name, value) =>
        {
            var (trace, headers) = ((TraceHeaders, HttpRequestHeaders))carrier!;
            trace.Set(headers, name, value);
        });

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
    }

    private void Set(HttpRequestHeaders headers, string name, string value)
    {
        var slot = Array.IndexOf(_ours, name);
        if (slot >= 0)
        {
            headers.Remove(name);
        }
        else if (headers.NonValidated.Contains(name))
        {
            return;
        }
        else if (Array.IndexOf(_ours, null) is >= 0 and var free)
        {
            _ours[free] = name;
        }

        headers.TryAddWithoutValidation(name, value);
    }
}
