using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mesh.Balancing;

/// <summary>Reads what an endpoint says of its load: ORCA's OrcaLoadReport (gRFC A51) as bytes, in base64, or as the text and JSON forms of its header.</summary>
/// <remarks>Pure. Broken reports give false and never more. The binary form, which comes with each answer, takes no object.</remarks>
internal static class LoadReportReader
{
    // A report is some dozens of bytes; more than this is not one.
    private const int MaxChars = 8 * 1024;
    private const int MaxOnStack = 512;
    private const int MaxName = 256;

    /// <param name="metricNames">Whose largest value stands for the utilization when the application reports none (gRFC A114), such as <c>named_metrics.queue</c>.</param>
    public static bool TryRead(ReadOnlySpan<byte> message, IReadOnlyList<string> metricNames, out LoadReport report)
    {
        var load = new Load(metricNames);
        var fields = new ProtoFields(message);
        while (fields.Read())
        {
            switch (fields.Field)
            {
                case 1:
                    load.Set("cpu_utilization", [], fields.Double);
                    break;
                case 2:
                    load.Set("mem_utilization", [], fields.Double);
                    break;
                case 4:
                    SetEntry(ref load, "request_cost", fields.Bytes);
                    break;
                case 5:
                    SetEntry(ref load, "utilization", fields.Bytes);
                    break;
                case 6:
                    load.Set("rps_fractional", [], fields.Double);
                    break;
                case 7:
                    load.Set("eps", [], fields.Double);
                    break;
                case 8:
                    SetEntry(ref load, "named_metrics", fields.Bytes);
                    break;
                case 9:
                    load.Set("application_utilization", [], fields.Double);
                    break;
            }
        }

        report = load.ToReport();
        return !fields.IsBroken;
    }

    /// <summary>The value of <c>endpoint-load-metrics-bin</c>; padding may be missing, as gRPC allows.</summary>
    public static bool TryReadBase64(ReadOnlySpan<char> value, IReadOnlyList<string> metricNames, out LoadReport report)
    {
        report = default;
        value = value.Trim().TrimEnd('=');
        if (value.Length is 0 or > MaxChars)
        {
            return false;
        }

        var length = (value.Length + 3) / 4 * 4;
        var rented = length > MaxOnStack ? ArrayPool<char>.Shared.Rent(length) : null;
        var rentedBytes = length > MaxOnStack ? ArrayPool<byte>.Shared.Rent(length) : null;
        try
        {
            var padded = (rented ?? stackalloc char[MaxOnStack])[..length];
            value.CopyTo(padded);
            padded[value.Length..].Fill('=');
            var bytes = rentedBytes ?? stackalloc byte[MaxOnStack];
            return Convert.TryFromBase64Chars(padded, bytes, out var count) && TryRead(bytes[..count], metricNames, out report);
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<char>.Shared.Return(rented);
                ArrayPool<byte>.Shared.Return(rentedBytes!);
            }
        }
    }

    /// <summary>The value of <c>endpoint-load-metrics</c>: <c>TEXT name=value, …</c>, <c>JSON {…}</c> or <c>BIN base64</c>.</summary>
    public static bool TryReadHeader(ReadOnlySpan<char> value, IReadOnlyList<string> metricNames, out LoadReport report)
    {
        report = default;
        value = value.Trim();
        if (value.Length > MaxChars)
        {
            return false;
        }

        return value switch
        {
            ['T', 'E', 'X', 'T', ' ', .. var text] => TryReadText(text, metricNames, out report),
            ['J', 'S', 'O', 'N', ' ', .. var json] => TryReadJson(json, metricNames, out report),
            ['B', 'I', 'N', ' ', .. var binary] => TryReadBase64(binary, metricNames, out report),
            _ => false,
        };
    }

    private static bool TryReadText(ReadOnlySpan<char> text, IReadOnlyList<string> metricNames, out LoadReport report)
    {
        var load = new Load(metricNames);
        report = default;
        foreach (var range in text.Split(','))
        {
            var part = text[range].Trim();
            if (part.IsEmpty)
            {
                continue;
            }

            var equals = part.IndexOf('=');
            if (equals <= 0 || !double.TryParse(part[(equals + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
            {
                return false;
            }

            var name = part[..equals].TrimEnd();
            var dot = name.IndexOf('.');
            load.Set(dot < 0 ? name : name[..dot], dot < 0 ? [] : name[(dot + 1)..], number);
        }

        report = load.ToReport();
        return true;
    }

    private static bool TryReadJson(ReadOnlySpan<char> json, IReadOnlyList<string> metricNames, out LoadReport report)
    {
        report = default;
        var load = new Load(metricNames);
        try
        {
            using var document = JsonDocument.Parse(json.ToString());
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                return false;
            }

            foreach (var field in document.RootElement.EnumerateObject())
            {
                if (field.Value.ValueKind == JsonValueKind.Object)
                {
                    foreach (var entry in field.Value.EnumerateObject())
                    {
                        load.Set(field.Name, entry.Name, entry.Value.GetDouble());
                    }
                }
                else
                {
                    load.Set(field.Name, [], field.Value.GetDouble());
                }
            }
        }
        catch (Exception e) when (e is JsonException or FormatException or InvalidOperationException)
        {
            return false;
        }

        report = load.ToReport();
        return true;
    }

    /// <summary>A map is a list of entries: key 1, value 2.</summary>
    private static void SetEntry(ref Load load, ReadOnlySpan<char> map, ReadOnlySpan<byte> entry)
    {
        // Only for the names that are asked for.
        if (!load.WantsNames)
        {
            return;
        }

        var fields = new ProtoFields(entry);
        Span<char> name = stackalloc char[MaxName];
        var (length, value) = (0, 0.0);
        while (fields.Read())
        {
            if (fields.Field == 1 && !Encoding.UTF8.TryGetChars(fields.Bytes, name, out length))
            {
                return;
            }

            if (fields.Field == 2)
            {
                value = fields.Double;
            }
        }

        if (!fields.IsBroken)
        {
            load.Set(map, name[..length], value);
        }
    }

    private struct Load(IReadOnlyList<string> metricNames)
    {
        private double _application;
        private double _cpu;
        private double _named;
        private double _queries;
        private double _errors;

        public readonly bool WantsNames => metricNames.Count > 0;

        public void Set(ReadOnlySpan<char> field, ReadOnlySpan<char> key, double value)
        {
            // NaN too: what can't be a load is not one.
            if (!(value >= 0) || !double.IsFinite(value))
            {
                return;
            }

            if (key.IsEmpty)
            {
                switch (field)
                {
                    case "application_utilization":
                        _application = value;
                        break;
                    case "cpu_utilization":
                        _cpu = value;
                        break;
                    case "rps_fractional" or "rps":
                        _queries = value;
                        break;
                    case "eps":
                        _errors = value;
                        break;
                }
            }

            for (var i = 0; i < metricNames.Count; i++)
            {
                if (Is(metricNames[i], field, key))
                {
                    _named = Math.Max(_named, value);
                }
            }
        }

        public readonly LoadReport ToReport() => new(_application > 0 ? _application : _named > 0 ? _named : _cpu, _queries, _errors);

        private static bool Is(ReadOnlySpan<char> name, ReadOnlySpan<char> field, ReadOnlySpan<char> key) => key.IsEmpty
            ? name.SequenceEqual(field)
            : name.Length == field.Length + 1 + key.Length && name[field.Length] == '.' && name.StartsWith(field) && name.EndsWith(key);
    }
}
